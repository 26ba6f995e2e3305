local Worker = require "support.worker"
local AddressCount = require "framegate.socket.address_count"
local Config = require "framegate.config"

describe("the sockets of an address", function()
  local worker, others

  before_each(function()
    worker, others = Worker.new(), {}
    worker.members.others = function() return others end
    worker.members.is_alive = function(_, other) return not other.is_dead end
    Config.MAX_CONNECTIONS_PER_IP = 2
  end)

  local function from(address) return { handshake = "host: a\r\nx-forwarded-for: " .. address .. "\r\n" } end

  after_each(function()
    for _, address in ipairs { "192.0.2.1", "192.0.2.2", "2001:db8::1" } do
      for _ = 1, 5 do
        AddressCount.release(from(address))
      end
    end
    assert.are.same({}, ngx.shared.addresses.values)
  end)

  it("are so many and no more, until one is released", function()
    local one = from "192.0.2.1"
    assert.is_true(AddressCount.take(one))
    assert.is_true(AddressCount.take(one))
    assert.is_false(AddressCount.take(one))
    assert.is_true(AddressCount.take(from "192.0.2.2"))
    AddressCount.release(one)
    assert.is_true(AddressCount.take(one))
    assert.is_false(AddressCount.take(one))
  end)

  it("are those of a network with IPv6", function()
    AddressCount.take(from "2001:db8::1")
    AddressCount.take(from "2001:db8::2")
    assert.is_false(AddressCount.take(from "2001:db8::3"))
    assert.is_true(AddressCount.take(from "2001:db8:0:1::1"))
    AddressCount.release(from "2001:db8:0:1::1")
  end)

  it("may be more when they come from another worker", function()
    local one = from "192.0.2.1"
    for _ = 1, 3 do
      AddressCount.add(one)
    end
    AddressCount.release(one)
    assert.is_false(AddressCount.take(one))
  end)

  it("are those of all workers that live", function()
    local one, other = from "192.0.2.1", { name = "other." }
    others[1] = other
    local function entries() return ngx.shared.addresses:get_keys() end
    AddressCount.take(one)
    local key = entries()[1]
    ngx.shared.addresses:set(other.name .. key:sub(#"worker" + 1), 1)
    assert.is_false(AddressCount.take(one) and AddressCount.take(one))
    other.is_dead = true
    assert.is_true(AddressCount.take(one))
    AddressCount.forget(other.name)
    assert.are.same({ key }, entries())
  end)

  it("are not counted when there is no limit", function()
    Config.MAX_CONNECTIONS_PER_IP = 0
    for _ = 1, 5 do
      assert.is_true(AddressCount.take(from "192.0.2.1"))
    end
    AddressCount.release(from "192.0.2.1")
    assert.are.same({}, ngx.shared.addresses.values)
  end)

  it("are counted from open to the end, whatever the handler answers", function()
    local Loop = require "support.event_loop"
    local OpenEvent = require "framegate.socket.open_event"
    local RequestEnd = require "framegate.socket.request_end"
    local Connection = require "framegate.socket.connection"
    Loop.reset()
    for _, answer in ipairs { { status = 403 }, { failure = "unavailable" }, { status = 204 }, { failure = "lost" } } do
      local connection = Connection.new { id = "a", path = "/", lines = from("192.0.2.1").handshake }
      assert.is_true(AddressCount.take(connection))
      Loop.spawn(function() OpenEvent.send(connection, { location = { before_open = {} } }) end)
      Loop.run(0)
      worker.request.has_left = true
      Loop.run(1)
      worker.request.has_left = nil
      Worker.answer(worker.dispatch.events[#worker.dispatch.events], answer)
      RequestEnd.run()
      assert.are.same({}, ngx.shared.addresses.values)
    end
  end)
end)
