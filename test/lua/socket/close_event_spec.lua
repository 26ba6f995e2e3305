local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"
local CloseEvent = require "framegate.socket.close_event"
local Orphan = require "framegate.socket.orphan"

describe("a close event", function()
  local worker, renewed, former

  before_each(function()
    Loop.reset()
    worker = Worker.new()
    renewed, former = Stub.now, nil
    worker.holders.is_clustered = function() return true end
    worker.members.renewal_age = function() return Stub.now - renewed end
    worker.members.former_renewal = function(_, id) return id:sub(1, 4) == former and 1000 or nil end
  end)

  local function socket(id, opened_at)
    return {
      id = id,
      began_at = function() return opened_at or 990 end,
      path = "/ws",
      handshake = "",
      closing = { code = 1000, reason = "" },
      answered = function() end,
    }
  end

  local function orphan(id, journal)
    local facts = { id = id, seconds = 1, path = "/ws", handshake = "", closing = { code = 1006, reason = "" } }
    facts.journal = journal
    journal.remove = function(self) self.removed = (self.removed or 0) + 1 end
    journal.close = function() end
    Orphan.add(facts)
    return journal
  end

  it("is held back while this node may have been buried", function()
    Stub.now = Stub.now + 7
    CloseEvent.send(socket "node1", 1)
    Loop.run(1)
    assert.are.equal(0, #worker.dispatch.events)
    renewed = Stub.now
    Loop.run(1)
    assert.are.equal(1, #worker.dispatch.events)
  end)

  it("that is held back at the end of its worker is left to the journal", function()
    Stub.now = Stub.now + 7
    ngx.shared.sockets:set("node1", "record")
    CloseEvent.send(socket "node1", 1)
    CloseEvent.stop()
    assert.is_nil(ngx.shared.sockets:get "node1")
    renewed = Stub.now
    Loop.run(1)
    assert.are.equal(0, #worker.dispatch.events)
  end)

  it("of a life that was buried is not sent, and does not count as in flight", function()
    former = "gone"
    local journal = orphan("gone1", {})
    Loop.run(1)
    assert.are.equal(0, #worker.dispatch.events)
    assert.are.equal(1, journal.removed)
    assert.are.equal(0, Orphan.count())
  end)

  it("of a socket that was opened when this node was cut off is sent, because no other node knows of it", function()
    former = "gone"
    CloseEvent.send(socket("gone1", 999), 1)
    assert.are.equal(0, #worker.dispatch.events)
    CloseEvent.send(socket("gone2", 1007), 1)
    assert.are.equal(1, #worker.dispatch.events)
  end)

  it("that this node took over from the one that buried it is sent", function()
    former = "gone"
    orphan("gone1", { is_in_redis = true })
    Loop.run(1)
    assert.are.equal(1, #worker.dispatch.events)
    Worker.answer(worker.dispatch.events[1])
    assert.are.equal(0, Orphan.count())
  end)
end)
