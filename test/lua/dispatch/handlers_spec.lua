local Stub = require "support.ngx"
local Threads = require "support.threads"
local Dictionary = require "support.dictionary"
rawset(ngx.shared, "gateway", Dictionary.new())
local Cosocket = require "support.cosocket"
local Config = require "framegate.config"
local EventMetrics = require "framegate.telemetry.event_metrics"
local Handlers = require "framegate.dispatch.handlers"
local Log = require "framegate.runtime.log"

local OK = "HTTP/1.1 204 No Content\r\n\r\n"

describe("handlers", function()
  local handlers, idle, answers

  before_each(function()
    Stub.now = 1000
    Threads.reset()
    idle, answers = 0, {}
    for name, value in pairs { HANDLER_TIMEOUT = 1, HANDLER_WAIT = 10, MAX_ANSWER_BYTES = 1000 } do
      rawset(Config, name, value)
    end
    for _, name in ipairs { "sent", "retried", "ended" } do
      stub(EventMetrics, name)
    end
    stub(Log, "warn")
    handlers = Handlers.new {
      default = "http://10.0.0.1",
      others = { "http://10.0.0.2 weight=3, http://10.0.0.3" },
      capacity = 4,
      config = Config,
      now = function() return Stub.now end,
      look_up = function(host) return { host } end,
      on_failed = function() end,
      on_idle = function() idle = idle + 1 end,
      is_leaving = function() return false end,
    }
  end)

  after_each(function()
    Log.warn:revert()
    for _, name in ipairs { "sent", "retried", "ended" } do
      EventMetrics[name]:revert()
    end
    for _, name in ipairs { "HANDLER_TIMEOUT", "HANDLER_WAIT", "MAX_ANSWER_BYTES" } do
      rawset(Config, name, nil)
    end
  end)

  local function submit(handler)
    handlers:submit {
      kind = "message",
      id = "id/1",
      time = "now",
      number = 1,
      body = "",
      is_text = true,
      attempts = 0,
      connection = {
        id = "id",
        path = "/ws/a",
        handshake = "host: h\r\n",
        options = { handler = handler },
        answered = function(_, _, answer) answers[#answers + 1] = answer.failure or answer.status end,
      },
    }
    Threads.advance(0)
  end

  it("are found by their URLs, however they are written", function()
    local name = handlers:find "http://10.0.0.2/ weight=3  http://10.0.0.3 weight=1"
    assert.are.equal("http://10.0.0.2 weight=3, http://10.0.0.3", name)
    assert.are.equal(2, #handlers.list)
    assert.are.equal("http://10.0.0.4", handlers:find "http://10.0.0.4")
    assert.are.equal(3, #handlers.list)
    local nothing, expected = handlers:find "10.0.0.4"
    assert.is_nil(nothing)
    assert.matches("http://host:port", expected, 1, true)
  end)

  it("get the events of their sockets, and no others", function()
    local sockets = Cosocket.play { { reads = { OK } }, { reads = { OK } }, { reads = { OK } } }
    submit()
    submit(handlers:find "http://10.0.0.4")
    submit(handlers:find "http://10.0.0.5")
    assert.are.same({ "10.0.0.1:80", "10.0.0.4:80", "10.0.0.5:80" }, sockets.connections)
    assert.are.same({ 204, 204, 204 }, answers)
    assert.are.equal(3, handlers:count_lanes())
  end)

  it("that a record names are made when they are needed; one that cannot be used counts as none", function()
    local sockets = Cosocket.play { { reads = { OK } }, { reads = { OK } } }
    submit "http://10.0.0.9:81"
    submit "nonsense"
    assert.are.same({ "10.0.0.9:81", "10.0.0.1:80" }, sockets.connections)
    assert.are.same({ 204, 204 }, answers)
  end)

  it("that are away hold up no event that their dialect cannot express, which is no answer of theirs", function()
    Cosocket.play { { connect = "connection refused" } }
    local function grip(kind)
      local connection = { options = { protocol = "grip" }, id = "id", path = "/ws/a", handshake = "host: h\r\n" }
      connection.answered = function(_, _, answer) answers[#answers + 1] = answer.failure or answer.status end
      return { kind = kind, id = "id/2", body = "", is_text = true, attempts = 0, connection = connection }
    end
    submit()
    handlers:submit(grip "resume")
    assert.are.same({ 204 }, answers)
    assert.are.equal(1, handlers:states()[1].for_lane)
    assert.stub(Log.warn).was.called(1) -- that no handler can be reached
  end)

  it("that are away hold up no others, and are idle together", function()
    Cosocket.play { { connect = "connection refused" }, { reads = { OK } }, { reads = { OK } } }
    submit(handlers:find "http://10.0.0.4")
    assert.are.same({ {}, 0 }, { answers, idle })
    submit()
    assert.are.same({ { 204 }, 0 }, { answers, idle })
    local states = handlers:states()
    assert.are.same({ 0, 1 }, { states[1].for_lane, states[3].for_lane })
    assert.are.same({ 1000, 0 }, { states[1].answered, states[1].failed })
    assert.are.same({ 0, 1000 }, { states[3].answered, states[3].failed })
    Threads.advance(1)
    assert.are.same({ 204, 204 }, answers)
    assert.is_true(idle > 0)
  end)
end)
