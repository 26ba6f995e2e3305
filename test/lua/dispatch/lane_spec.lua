local Cosocket = require "support.cosocket"
local Stub = require "support.ngx"
local Threads = require "support.threads"
local Config = require "framegate.config"
local Http = require "framegate.dispatch.http"
local Lane = require "framegate.dispatch.lane"
local Log = require "framegate.runtime.log"
local Peers = require "framegate.dispatch.peers"
local UpstreamUrl = require "framegate.protocol.upstream_url"

local OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
local SETTINGS = { HANDLER_TIMEOUT = 1, MAX_ANSWER_BYTES = 1000 }

describe("a lane", function()
  local answers, free, retired, lane

  before_each(function()
    Stub.now = 1000
    Threads.reset()
    answers, free, retired = {}, 0, 0
    for name, value in pairs(SETTINGS) do
      rawset(Config, name, value)
    end
    stub(Log, "warn")
    stub(Log, "error")
  end)

  after_each(function()
    for name in pairs(SETTINGS) do
      rawset(Config, name, nil)
    end
    Log.warn:revert()
    Log.error:revert()
  end)

  local function start(options)
    local peers = Peers.new {
      name = "handler",
      targets = UpstreamUrl.list(table.concat(options.urls or { "http://10.0.0.1:80" }, ", ")),
      look_up = function(host) return { host } end,
      now = function() return Stub.now end,
    }
    peers:refresh()
    lane = Lane.new({
      on_answer = options.on_answer or function(_, answer) answers[#answers + 1] = answer end,
      on_unbatch = function() end,
      on_free = function() free = free + 1 end,
      on_retired = function() retired = retired + 1 end,
      peers = peers,
      protocol = options.protocol or Http,
    }):start()
    return Cosocket.play(options.script)
  end

  local function event(body)
    return {
      kind = "message",
      id = "id/1",
      time = "now",
      number = 1,
      body = body or "hello",
      is_text = true,
      content_type = "text/plain",
      connection = { id = "id", path = "/ws/a", handshake = "host: h\r\n", options = {} },
    }
  end

  local function carry(body)
    lane:carry { event(body) }
    Threads.advance(0)
    return answers[#answers]
  end

  it("carries one event after the other, and gives its connection to the pool in between", function()
    local sockets = start { script = { { reads = { OK } }, { reads = { OK }, reused = 1 } } }
    assert.are.same({ 200, "ok" }, { carry().status, answers[1].body })
    assert.are.equal("ok", carry().body)
    assert.are.same({ 2, 2, 1 }, { free, sockets.kept, lane.connection.made })
    assert.matches("^POST /ws/a HTTP/1.1\r\nhost: h\r\n.*\r\n\r\nhello$", sockets.sent[1])
  end)

  it("tries the next handler when one cannot be reached", function()
    local sockets = start {
      urls = { "http://10.0.0.1:80", "http://10.0.0.2:80", "http://10.0.0.3:80" },
      script = { { connect = "connection refused" }, { connect = "timeout" }, { reads = { OK } } },
    }
    assert.are.equal("ok", carry().body)
    assert.are.equal(1, #sockets.sent)
  end)

  it("reports that none can be reached when it has tried each", function()
    local sockets = start {
      urls = { "http://10.0.0.1:80", "http://10.0.0.2:80" },
      script = { { connect = "connection refused" }, { connect = "connection refused" }, { reads = { OK } } },
    }
    assert.are.equal("unavailable", carry().failure)
    assert.are.equal(0, #sockets.sent)
  end)

  it("waits for a handler whose queue is full", function()
    local full = { connect = "resource temporarily unavailable" }
    start { urls = { "http://unix:/run/h.sock" }, script = { full, full, full, { reads = { OK } } } }
    lane:carry { event() }
    Threads.advance(0.01)
    assert.are.equal(0, #answers)
    Threads.advance(0.01)
    assert.are.equal("ok", answers[1].body)
  end)

  it("sends again only what the connection did not take", function()
    local sockets = start { script = { { reused = 1, send = "broken pipe" }, { reads = { OK } } } }
    assert.are.equal("ok", carry().body)
    assert.are.equal(1, #sockets.sent)
  end)

  it("never sends again what a handler may have read, whatever ends the connection", function()
    for _, err in ipairs { "connection reset by peer", "closed" } do
      local sockets = start { script = { { reused = 1, err = err }, { reads = { OK } } } }
      assert.are.equal("lost", carry().failure)
      assert.are.equal(1, #sockets.sent)
    end
    start { script = { { send = "broken pipe" }, { reads = { OK } } } }
    assert.are.equal("lost", carry(("x"):rep(20000)).failure, "some of it may have been taken")
  end)

  it("hears an answer that came before all was sent, and uses the connection no more", function()
    local sockets = start { script = { { send = "broken pipe", reads = { OK } } } }
    assert.are.equal("ok", carry(("x"):rep(20000)).body)
    assert.are.equal(1, sockets.closed)
  end)

  it("reports a time-out, and what is no answer", function()
    start { script = { { err = "timeout" } } }
    assert.are.equal("timeout", carry().failure)
    start { script = { { reads = { "SSH-2.0" } } } }
    local answer = carry()
    assert.are.same({ "malformed", 502 }, { answer.failure, answer.error.status })
    start { script = { { reads = { "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n" } } } }
    assert.matches("MAX_ANSWER_BYTES", carry().error.message)
  end)

  it("ends after a large event, whose bytes it would keep", function()
    start { script = { { reads = { OK } } } }
    carry(("x"):rep(1024 * 1024))
    assert.are.same({ 0, 1 }, { free, retired })
  end)

  it("ends when it is stopped, or had nothing to do for a minute", function()
    start { script = {} }
    Threads.advance(59)
    assert.are.equal(0, retired)
    Threads.advance(2)
    assert.are.equal(1, retired)
    start { script = {} }
    lane:stop()
    Threads.advance(0)
    assert.are.equal(2, retired)
  end)

  it("loses neither itself nor its event to a defect", function()
    local failures = {}
    start {
      script = { { reads = { OK } } },
      on_answer = function(one, answer)
        if not answer.failure then
          error "a defect"
        end
        failures[#failures + 1] = answer.failure .. " " .. one.id
      end,
    }
    carry()
    assert.are.same({ "lost id/1" }, failures)
    assert.are.equal(1, retired)
    assert.stub(Log.error).was.called(1)
  end)
end)
