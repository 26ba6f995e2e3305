local Stub = require "support.ngx"
local Log = require "framegate.runtime.log"
local UpstreamUrl = require "framegate.protocol.upstream_url"
local Peers = require "framegate.dispatch.peers"

describe("peers", function()
  local names, failures

  before_each(function()
    Stub.now, names, failures = 1000, {}, 0
    stub(Log, "warn")
  end)

  after_each(function() Log.warn:revert() end)

  local function peers_of(...)
    local targets = {}
    for i, url in ipairs { ... } do
      targets[i] = UpstreamUrl.list(url)[1]
    end
    local peers = Peers.new {
      name = "handler",
      targets = targets,
      look_up = function(host)
        if host:find "^%d" or host:find "^%[" then
          return { host }
        end
        return names[host], not names[host] and "no address" or nil
      end,
      now = function() return Stub.now end,
      on_failed = function() failures = failures + 1 end,
    }
    peers:refresh()
    return peers
  end

  local function fail(peers, peer)
    peers:begin(peer)
    peers:failed(peer, "connection refused")
  end

  local function succeed(peers, peer)
    peers:begin(peer)
    peers:succeeded(peer)
  end

  local function picked(peers, times)
    local seen = {}
    for _ = 1, times do
      local peer = peers:pick()
      seen[peer.host] = (seen[peer.host] or 0) + 1
    end
    return seen
  end

  it("are what the URLs name, each with its own port and TLS name", function()
    names.a, names.b = { "10.0.0.1", "[::1]" }, { "10.0.0.2" }
    local peers = peers_of("http://a", "https://b:444", "https://10.0.0.3", "http://unix:/run/c.sock")
    local list = {}
    for i, peer in ipairs(peers.list) do
      list[i] = ("%s %s %s %s"):format(peer.host, tostring(peer.port), tostring(peer.has_tls), tostring(peer.tls_name))
    end
    assert.are.same({
      "10.0.0.1 80 false nil",
      "[::1] 80 false nil",
      "10.0.0.2 444 true b",
      "10.0.0.3 443 true nil",
      "unix:/run/c.sock nil nil nil",
    }, list)
    local pools = {}
    for _, peer in ipairs(peers.list) do
      assert.is_nil(pools[peer.options.pool])
      pools[peer.options.pool] = true
    end
  end)

  it("take turns", function()
    local peers = peers_of("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3")
    assert.are.same({ ["10.0.0.1"] = 4, ["10.0.0.2"] = 4, ["10.0.0.3"] = 4 }, picked(peers, 12))
  end)

  it("take turns by their weights, and not in bursts", function()
    local peers = peers_of("http://10.0.0.1 weight=5", "http://10.0.0.2 weight=3", "http://10.0.0.3")
    picked(peers, 9)
    assert.are.same({ ["10.0.0.1"] = 500, ["10.0.0.2"] = 300, ["10.0.0.3"] = 100 }, picked(peers, 900))
    for _ = 1, 100 do
      assert.is_true(picked(peers, 3)["10.0.0.1"] <= 2)
    end
  end)

  it("keep their shares among those that are left", function()
    local peers = peers_of("http://10.0.0.1 weight=5", "http://10.0.0.2 weight=3", "http://10.0.0.3")
    fail(peers, peers.list[1])
    assert.are.same({ ["10.0.0.2"] = 75, ["10.0.0.3"] = 25 }, picked(peers, 100))
  end)

  it("that failed are left alone, and tried now and then by one", function()
    local peers = peers_of("http://10.0.0.1", "http://10.0.0.2")
    local dead = peers.list[1]
    fail(peers, dead)
    assert.are.same({ ["10.0.0.2"] = 10 }, picked(peers, 10))
    for _, pause in ipairs { 1, 2, 4, 8, 10, 10 } do
      Stub.now = Stub.now + pause - 0.01
      assert.is_nil(picked(peers, 10)[dead.host])
      Stub.now = Stub.now + 0.02
      assert.are.equal(5, picked(peers, 10)[dead.host])
      peers:begin(dead)
      assert.is_nil(picked(peers, 10)[dead.host], "somebody tries it")
      peers:failed(dead, "timeout")
      Stub.now = Stub.now - 0.01
    end
    Stub.now = Stub.now + 11
    succeed(peers, dead)
    assert.are.equal(5, picked(peers, 10)[dead.host])
    assert.stub(Log.warn).was.called(2)
  end)

  it("that hang while somebody connects are passed by", function()
    local peers = peers_of("http://10.0.0.1", "http://10.0.0.2")
    peers:begin(peers.list[1])
    assert.are.equal(5, picked(peers, 10)["10.0.0.1"])
    Stub.now = Stub.now + 0.2
    assert.is_nil(picked(peers, 10)["10.0.0.1"])
  end)

  it("are all tried when none lives, each once", function()
    local peers = peers_of("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3")
    for _, peer in ipairs(peers.list) do
      fail(peers, peer)
    end
    local tried = {}
    for _ = 1, 3 do
      tried[peers:pick(tried)] = true
    end
    assert.is_nil(peers:pick(tried))
  end)

  it("have their names looked up again at the first failed connection, once a second at most", function()
    names.a = { "10.0.0.1" }
    local peers = peers_of "http://a"
    Stub.now = Stub.now + 5
    fail(peers, peers.list[1])
    fail(peers, peers.list[1])
    assert.are.equal(1, failures)
    names.a = { "10.0.0.9" }
    peers:refresh()
    assert.are.equal("10.0.0.9", peers:pick().host)
    assert.are.equal(0, peers:pick().failures)
  end)

  it(
    "keep what is known of an address over look-ups, and the addresses of a name that is unknown for a while",
    function()
      names.a = { "10.0.0.1", "10.0.0.2" }
      local peers = peers_of "http://a"
      fail(peers, peers.list[1])
      peers:refresh()
      assert.are.equal(1, peers.list[1].failures)
      names.a = nil
      peers:refresh()
      assert.are.equal(2, #peers.list)
    end
  )

  it("do not hand out connections from before they fell silent", function()
    local peer = peers_of("http://10.0.0.1").list[1]
    local pool = peer.options.pool
    Peers.distrust(peer)
    assert.are_not.equal(pool, peer.options.pool)
  end)

  it("that are unknown are none", function() assert.is_nil(peers_of("http://nowhere"):pick()) end)
end)
