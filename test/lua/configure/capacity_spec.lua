local Capacity = require "framegate.configure.capacity"
local Variables = require "framegate.configure.variables"

local function capacity(values, open_files)
  local settings = assert(Variables.read(function(name) return (values or {})[name] end, "/run/framegate"))
  return Capacity.of(settings, { open_files = open_files or 1048576, processors = 4 })
end

describe("what a worker can hold", function()
  it("is what its connections leave beside lanes and the rest", function()
    local all = capacity()
    assert.are.same({
      workers = 4,
      connections = 16384,
      sockets = 16384 - 3 * 256 - 2 * 512 - 64,
      lanes = 256,
      streams = 512,
      remedy = "WORKER_CONNECTIONS or WORKERS",
    }, all)
    assert.matches(
      "^can hold 58112 sockets: 14528 in each worker; .* WORKER_CONNECTIONS or WORKERS$",
      Capacity.describe(all)
    )
    assert.are.equal(2, capacity({ WORKERS = "2" }).workers)
    local few = capacity { HANDLER_CONCURRENCY = "8", STREAM_CONCURRENCY = "4" }
    assert.are.same({ 16384 - 3 * 8 - 2 * 4 - 64, 8, 4 }, { few.sockets, few.lanes, few.streams })
  end)

  it("is bounded by the limit of open files, and says so", function()
    local few = capacity({ WORKERS = "1" }, 1024)
    assert.are.same({
      workers = 1,
      connections = 989,
      sockets = 494,
      lanes = 96,
      streams = 71,
      files = 1024,
      remedy = "the limit of open files (ulimit -n)",
    }, few)
    assert.matches(
      "^can hold 494 sockets: 494 in each worker, which may open 1024 files; .*ulimit %-n",
      Capacity.describe(few)
    )
    assert.is_nil(capacity({ WORKER_CONNECTIONS = "900", WORKERS = "1" }, 1024).files)
  end)

  it("has lanes for each handler", function()
    local settings = assert(Variables.read(function() end, "/run/framegate"))
    settings.location_handlers = { "http://a", "http://b" }
    local all = Capacity.of(settings, { open_files = 1048576, processors = 4 })
    assert.are.same({ 16384 - 3 * (3 * 256 + 2 * 512) - 64, 256, 512 }, { all.sockets, all.lanes, all.streams })
    local few = Capacity.of(settings, { open_files = 1024, processors = 1 })
    assert.is_true(few.sockets + 3 * (3 * few.lanes + 2 * few.streams) <= few.connections)
  end)

  it("leaves room for lanes, whatever was asked for", function()
    for _, connections in ipairs { "64", "128", "1000", "20000", "1000000" } do
      for _, lanes in ipairs { "1", "256", "4096" } do
        for _, files in ipairs { Capacity.LEAST_FILES, 1024, 4096, 1048576 } do
          local all = capacity({ WORKER_CONNECTIONS = connections, HANDLER_CONCURRENCY = lanes }, files)
          assert.is_true(all.lanes >= 1 and all.lanes <= tonumber(lanes))
          assert.is_true(all.sockets >= math.floor(all.connections / 2))
          assert.is_true(all.sockets + 3 * all.lanes + 2 * all.streams <= all.connections)
          assert.is_true(all.connections < files)
        end
      end
    end
  end)
end)
