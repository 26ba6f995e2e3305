local Names = require "framegate.configure.names"

describe("a name", function()
  it("that is nearly a variable is a slip", function()
    for name, meant in pairs {
      MAX_TOPCIS = "MAX_TOPICS",
      MAX_TOPIC = "MAX_TOPICS",
      MAXTOPICS = "MAX_TOPICS",
      max_topics = "MAX_TOPICS",
      PROT = "PORT",
      HANDLER_URLS = "HANDLER_URL",
      ALLOWED_ORIGIN = "ALLOWED_ORIGINS",
      HANDLER_LOGLEVEL = "HANDLER_LOG_LEVEL",
      RUNDIR = "RUN_DIR",
    } do
      assert.are.equal(meant, Names.meant(name), name)
    end
  end)

  it("of ours, or of the handler's own, is none", function()
    for _, name in ipairs(Names.all()) do
      assert.is_nil(Names.meant(name), name)
    end
    for _, name in ipairs {
      "DATABASE_URL",
      "NODE_ENV",
      "HOST",
      "PATH",
      "HOME",
      "USER",
      "USERNAME",
      "LOGNAME",
      "PWD",
      "TERM",
      "LANG",
      "SHELL",
      "TZ",
      "HOSTNAME",
      "SITE_NAME",
      "API_KEY",
      "REDIS_DB",
      "REDIS_HOST",
      "REDIS_SSL",
      "COMPOSE_PROJECT_NAME",
      "HANDLER_SERVICE_HOST",
      "REDIS_URL",
    } do
      assert.is_nil(Names.meant(name), name)
    end
  end)

  it("is refused in the file of settings, and reported in the environment", function()
    local problems, notes = Names.check({ "MAX_TOPCIS", "DATABASE_URL" }, { "MAX_TOPCIS", "WORKER", "HOME" })
    assert.are.equal(1, #problems)
    assert.matches("MAX_TOPCIS .* did you mean MAX_TOPICS%?", problems[1])
    assert.are.equal(1, #notes)
    assert.matches("WORKER, .* did you mean WORKERS%?", notes[1])
  end)
end)
