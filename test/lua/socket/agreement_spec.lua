local Worker = require "support.worker"
local Agreement = require "framegate.socket.agreement"
local Config = require "framegate.config"
local Connection = require "framegate.socket.connection"

describe("the agreement about a session", function()
  before_each(function() Worker.new() end)

  after_each(function() ngx.shared.sessions.capacity = math.huge end)

  local function session(value, protocol)
    return Agreement.session { headers = { ["ws-session"] = value, ["sec-websocket-protocol"] = protocol } }
  end

  it("is a time, and perhaps a mode", function()
    assert.are.same({ keep = 120 }, session "120")
    assert.are.same({ keep = 0.5 }, session "0.5")
    assert.are.same({ keep = 86400, mode = "check" }, session "86400;check")
    assert.are.same({ keep = 1, mode = "notify", protocol = "chat" }, session("1 ; notify", "chat"))
  end)

  it("is none for 0, and SESSION_SECONDS without the header", function()
    assert.is_nil(session "0")
    assert.is_nil(session(nil))
    assert.is_nil(Agreement.defect_of { headers = {} })
    Config.SESSION_SECONDS = 30
    assert.are.same({ keep = 30 }, session(nil))
    assert.is_nil(session "0")
  end)

  it("is not valid otherwise", function()
    for _, value in ipairs { "", "x", "-1", "86401", "1;", "1;other", "1 2", "1.2.3", "1e3", "inf", "nan", { "1", "2" } } do
      local facts, err = session(value)
      if value ~= "1;" then
        assert.is_nil(facts)
        assert.matches("ws%-session is a time", err)
        assert.are.equal(err, Agreement.defect_of { headers = { ["ws-session"] = value } })
      end
    end
  end)

  local function register(wanted, value, is_stream)
    local connection = Connection.new { id = "id", path = "/", lines = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n" }
    Agreement.register(
      connection,
      { headers = { ["ws-session"] = value } },
      { location = { before_open = {} }, wanted = wanted, is_stream = is_stream }
    )
    return connection
  end

  it("notes whether the client has an event stream", function()
    assert.is_true(register({ key = "k", has_own_key = true }, "60", true).session.is_stream)
    assert.is_nil(register({ key = "l", has_own_key = true }, "60", false).session.is_stream)
  end)

  it("needs both sides, and room", function()
    assert.is_not_nil(register({ key = "k", has_own_key = true }, "60").session)
    assert.is_nil(register(nil, "60").session)
    assert.is_nil(register({ key = "k", has_own_key = true }, "0").session)
    assert.is_nil(register({ key = "k", has_own_key = false }, "60").session.former)
    ngx.shared.sessions.capacity = 0
    assert.is_nil(register({ key = "k", has_own_key = true }, "60").session)
  end)
end)
