local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"

describe("draining", function()
  local Drain, worker, closed

  before_each(function()
    worker = Worker.new()
    Loop.reset()
    package.loaded["framegate.socket.drain"] = nil
    Drain = require "framegate.socket.drain"
    closed = {}
    Drain.wire(worker)
  end)

  local function hold(count)
    for i = 1, count do
      worker.registry:add {
        id = "c" .. i,
        drop_inbox = function() end,
        outbox = { wake_reader = function() end },
        close_after_replies = function(self, code, reason, cause)
          closed[#closed + 1] = { self.id, code, reason, cause, Stub.now }
        end,
      }
    end
  end

  it("spreads the closing evenly over its time", function()
    hold(100)
    Drain.begin({ code = 1012, text = "reloaded", cause = "reload" }, 10)
    Loop.run(0)
    assert.are.equal(1, #closed)
    Loop.run(4.9)
    assert.is_true(#closed >= 48 and #closed <= 52, #closed .. " of 100 after half of the time")
    Loop.run(6)
    assert.are.equal(100, #closed)
    assert.are.same({ 1012, "reloaded", "reload" }, { unpack(closed[1], 2, 4) })
  end)

  it("closes all together without a time", function()
    hold(20)
    Drain.begin({ code = 1012, text = "reloaded", cause = "reload" }, 0)
    Loop.run(0)
    assert.are.equal(20, #closed)
  end)

  it("leaves out a socket that has ended meanwhile", function()
    hold(10)
    Drain.begin({ code = 1012, text = "reloaded", cause = "reload" }, 10)
    Loop.run(0)
    worker.registry.by_id = {}
    Loop.run(11)
    assert.are.equal(1, #closed)
  end)

  it("ends early when no socket is left", function()
    hold(10)
    Drain.begin({ code = 1012, text = "reloaded", cause = "reload" }, 10)
    Loop.run(0)
    worker.registry.by_id = {}
    Loop.run(0.1)
    hold(10)
    Loop.run(11)
    assert.are.equal(1, #closed)
  end)

  it("at a stop closes with 1001", function()
    hold(3)
    Drain.stop()
    Loop.run(2)
    assert.are.equal(3, #closed)
    assert.are.same({ 1001, "the gateway stops", "stop" }, { unpack(closed[1], 2, 4) })
    assert.are.equal(1001, Drain.reason.code)
  end)

  it("closes what is left at the end, but not a socket that was sent to another worker", function()
    for id, moving in pairs { resting = false, moving = {}, sent = { is_sent = true } } do
      local function close(_, ...) closed[id] = { ... } end
      worker.registry:add { id = id, moving = moving or nil, close = close }
    end
    Drain.close_all()
    local reason = { 1001, "the gateway stops", "stop" }
    assert.are.same({ resting = reason, moving = reason }, closed)
  end)

  it("closes a socket of a life that was buried, when its handshake ends later", function()
    worker.members.former_renewal = function(_, id) return id == "former" and 990 or nil end
    assert.are.equal("buried", Drain.reason_for("former").cause)
    assert.is_nil(Drain.reason_for "other")
    Drain.stop()
    assert.are.equal("stop", Drain.reason_for("former").cause)
  end)
end)
