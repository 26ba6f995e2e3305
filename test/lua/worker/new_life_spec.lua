local Worker = require "support.worker"
local NewLife = require "framegate.worker.new_life"
local Record = require "framegate.socket.record"

describe("a new life", function()
  local worker, restart, holder

  before_each(function()
    worker = Worker.new()
    worker.members.node = function() return "new-" end
    worker.members.worker = function() return "worker" end
    worker.members.former_renewal = function(_, id) return id:sub(1, 4) == "old-" and 990 or nil end
    restart, Record.restart = Record.restart, function(name) holder = name end
    NewLife.wire(worker)
  end)

  after_each(function() Record.restart = restart end)

  it("closes the sockets of the former one with 1012, and begins another journal", function()
    local closed = {}
    for _, id in ipairs { "old-1", "new-2" } do
      worker.registry:add { id = id, close = function(_, code, _, cause) closed[#closed + 1] = { id, code, cause } end }
    end
    worker.registry:add { id = "old-3", home = "new-", close = function() error "it came back to the new life" end }
    NewLife.begin()
    assert.are.same({ { "old-1", 1012, "buried" } }, closed)
    assert.are.equal("new-worker", holder)
  end)
end)
