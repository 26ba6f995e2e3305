require "support.worker"

local Addresses = require "framegate.socket.addresses"
local Config = require "framegate.config"

local function socket_of(address) return { handshake = "host: x\r\nx-forwarded-for: " .. address .. "\r\n" } end

describe("the count of sockets of an address", function()
  local others

  -- Another worker of this node, which counts in the same memory.
  local function as_worker(name)
    Addresses.wire {
      members = {
        worker = function() return name end,
        others = function() return others[name] end,
      },
    }
  end

  before_each(function()
    others = { w1 = { { name = "w2" } }, w2 = { { name = "w1" } } }
    Config.MAX_CONNECTIONS_PER_IP = 2
    ngx.shared.addresses.values = {}
    as_worker "w1"
  end)

  it("has a limit over all workers, for each address", function()
    assert.is_true(Addresses.enter(socket_of "192.0.2.1"))
    as_worker "w2"
    assert.is_true(Addresses.enter(socket_of "192.0.2.1"))
    assert.is_false(Addresses.enter(socket_of "192.0.2.1"))
    assert.is_true(Addresses.enter(socket_of "192.0.2.2"))
    Addresses.leave(socket_of "192.0.2.1")
    assert.is_true(Addresses.enter(socket_of "192.0.2.1"))
  end)

  it("takes a whole /64 of IPv6 as one", function()
    assert.is_true(Addresses.enter(socket_of "2001:db8::1"))
    assert.is_true(Addresses.enter(socket_of "2001:db8::2"))
    assert.is_false(Addresses.enter(socket_of "2001:db8::3"))
    assert.is_true(Addresses.enter(socket_of "2001:db8:0:1::1"))
  end)

  it("never refuses a socket that comes from another worker, and counts it", function()
    for _ = 1, 3 do
      Addresses.arrive(socket_of "192.0.2.1")
    end
    assert.is_false(Addresses.enter(socket_of "192.0.2.1"))
  end)

  it("does not count the sockets of a worker that is gone", function()
    Addresses.enter(socket_of "192.0.2.1")
    Addresses.enter(socket_of "192.0.2.1")
    others.w2 = {}
    as_worker "w2"
    assert.is_true(Addresses.enter(socket_of "192.0.2.1"))
  end)

  it("keeps nothing of an address without sockets, or without a limit", function()
    Addresses.enter(socket_of "192.0.2.1")
    Addresses.leave(socket_of "192.0.2.1")
    assert.is_nil(next(ngx.shared.addresses.values))
    Config.MAX_CONNECTIONS_PER_IP = 0
    assert.is_true(Addresses.enter(socket_of "192.0.2.1"))
    Addresses.leave(socket_of "192.0.2.1")
    assert.is_nil(next(ngx.shared.addresses.values))
  end)
end)
