local Stub = require "support.ngx"
local Threads = require "support.threads"
local Answer = require "framegate.dispatch.answer"
local Dispatch = require "framegate.dispatch.dispatch"
local EventMetrics = require "framegate.telemetry.event_metrics"
local EventQueue = require "framegate.dispatch.event_queue"
local Log = require "framegate.runtime.log"

-- Lanes that note what they carry and answer when a spec says so.
local FakeLanes = {}
FakeLanes.__index = FakeLanes

function FakeLanes.new(capacity) return setmetatable({ left = capacity, carried = {}, is_busy = false }, FakeLanes) end

function FakeLanes:take()
  if self.left == 0 then
    return nil
  end
  self.left = self.left - 1
  return {}
end

function FakeLanes:carry(_, events) self.carried[#self.carried + 1] = events end

function FakeLanes:free() self.left = self.left + 1 end

FakeLanes.retire = FakeLanes.free

function FakeLanes:begin_stream()
  self.left = self.left + 1
  return true
end

function FakeLanes:are_busy() return self.is_busy end

function FakeLanes.recent_seconds() return 0.005 end

describe("dispatch", function()
  local lanes, dispatch, ended, idle, is_leaving

  before_each(function()
    Stub.now = 1000
    Threads.reset()
    for _, name in ipairs { "sent", "retried" } do
      stub(EventMetrics, name)
    end
    for _, name in ipairs { "warn", "error", "limited" } do
      stub(Log, name)
    end
    lanes, ended, idle, is_leaving = FakeLanes.new(4), {}, 0, false
    dispatch = Dispatch.new {
      lanes = lanes,
      queue = EventQueue.new { now = function() return Stub.now end, takes_batches = true },
      on_idle = function() idle = idle + 1 end,
      is_leaving = function() return is_leaving end,
      config = { HANDLER_WAIT = 10 },
      urls = "http://handler",
      on_ended = function() end,
    }
  end)

  after_each(function()
    for _, name in ipairs { "sent", "retried" } do
      EventMetrics[name]:revert()
    end
    for _, name in ipairs { "warn", "error", "limited" } do
      Log[name]:revert()
    end
  end)

  local function submit(kind, options)
    options = options or {}
    local event = {
      kind = kind,
      id = options.id or "id",
      body = "",
      attempts = 0,
      connection = {
        options = { takes_batches = options.batch },
        patience = options.patience,
        answered = function(_, event, answer)
          ended[#ended + 1] = { event = event, answer = answer }
          if options.fails then
            error "a defect"
          end
        end,
      },
    }
    dispatch:submit(event)
    return event
  end

  -- Answers what was carried last, or the request with this number; the lane is free then.
  local function answer(failure, options)
    local events = lanes.carried[options and options.request or #lanes.carried]
    for _, event in ipairs(events) do
      local answered = failure and Answer.failed(failure) or { status = 200, headers = {}, body = "" }
      answered.retry_after = options and options.retry_after
      dispatch:answered(event, answered)
    end
    dispatch:free {}
  end

  describe("sends", function()
    it("an event over a free lane immediately, and hands its answer on", function()
      local event = submit "message"
      assert.are.same({ { event } }, lanes.carried)
      assert.are.equal(1, event.attempts)
      answer()
      assert.are.equal(200, ended[1].answer.status)
      assert.are.equal(event, ended[1].event)
    end)

    it("events that may not travel together each over a lane, and those without one when one is free", function()
      for i = 1, 6 do
        submit("message", { id = tostring(i) })
      end
      assert.are.equal(4, #lanes.carried)
      answer()
      assert.are.equal(5, #lanes.carried)
      assert.are.equal("5", lanes.carried[5][1].id)
    end)

    it("the oldest event first where both kinds wait for a lane, unless batches gather", function()
      for _, batch in ipairs { false, false, false, false, true, true, false, true, false } do
        Stub.now = Stub.now + 1
        submit("message", { id = tostring(Stub.now), batch = batch })
      end
      assert.are.equal(4, #lanes.carried)
      lanes.is_busy = true
      answer()
      assert.are.equal("1007", lanes.carried[5][1].id)
      lanes.is_busy = false
      answer()
      assert.are.same({ 3, "1005" }, { #lanes.carried[6], lanes.carried[6][1].id })
      answer()
      assert.are.equal("1009", lanes.carried[7][1].id)
    end)

    it("what gathered while lanes were busy in one request", function()
      lanes.is_busy = true
      for i = 1, 3 do
        submit("message", { id = tostring(i), batch = true })
      end
      assert.are.equal(0, #lanes.carried)
      lanes.is_busy = false
      Threads.advance(0.005)
      assert.are.equal(1, #lanes.carried)
      assert.are.equal(3, #lanes.carried[1])
    end)

    it("an event that comes in the same turn, as soon as a lane is no longer busy", function()
      lanes.is_busy = true
      submit("message", { batch = true })
      lanes.is_busy = false
      dispatch:answered({ kind = "open", connection = { answered = function() end } }, { status = 200, headers = {} })
      submit("message", { batch = true })
      assert.are.equal(2, #lanes.carried[1])
      lanes.is_busy = true
      submit("message", { batch = true })
      lanes.is_busy = false
      dispatch:free {}
      submit("message", { batch = true })
      assert.are.same({ 1, 1 }, { #lanes.carried[2], #lanes.carried[3] })
    end)

    it("an event that travels alone in the turn in which others gather", function()
      lanes.is_busy = true
      submit("message", { batch = true })
      local event = submit "message"
      assert.are.same({ { event } }, lanes.carried)
    end)

    it("an event again that its handler has not processed", function()
      local event = submit("message", { batch = true })
      dispatch:again(event)
      assert.are.equal(event, lanes.carried[2][1])
    end)

    it("alone, between batches, an event whose answer would stream", function()
      lanes.is_busy = true
      local event = submit("message", { batch = true })
      assert.are.equal(0, #lanes.carried)
      event.is_alone = true
      dispatch:again(event)
      assert.are.same({ { event } }, lanes.carried)
    end)

    it("others over the place that an event has left whose answer streams", function()
      for i = 1, 5 do
        submit("message", { id = tostring(i) })
      end
      assert.are.equal(4, #lanes.carried)
      assert.is_true(dispatch:begin_stream({}, lanes.carried[1][1]))
      assert.are.equal(5, #lanes.carried)
      assert.is_false(dispatch:is_idle())
    end)
  end)

  describe("after a failure", function()
    it("never sends open and message again that may have been processed", function()
      for _, kind in ipairs { "open", "message" } do
        for _, failure in ipairs { "lost", "timeout", "refused", "malformed" } do
          local before = #lanes.carried
          submit(kind)
          answer(failure)
          Threads.advance(20)
          assert.are.equal(before + 1, #lanes.carried, kind .. " " .. failure)
          assert.are.equal(failure, ended[#ended].answer.failure)
        end
      end
    end)

    it("sends an alarm again that may have been processed, but not one that was not understood", function()
      for _, failure in ipairs { "lost", "timeout", "unavailable", "closing" } do
        local before = #lanes.carried
        local event = submit "alarm"
        answer(failure)
        Threads.advance(0.2)
        assert.are.equal(before + 2, #lanes.carried, failure)
        assert.are.equal(event, lanes.carried[#lanes.carried][1])
        answer()
      end
      local before = #lanes.carried
      submit "alarm"
      answer "malformed"
      Threads.advance(20)
      assert.are.equal(before + 1, #lanes.carried)
    end)

    it("sends again what was refused with 503: immediately, after 50 ms, 100 ms and so on up to 500 ms", function()
      local event = submit "message"
      local times, attempts = {}, 1
      answer "closing"
      for _ = 1, 700 do
        Threads.advance(0.005)
        if #lanes.carried > attempts then
          attempts = #lanes.carried
          times[#times + 1] = Stub.now
          answer "closing"
        end
      end
      assert.are.equal(event, lanes.carried[2][1])
      local expected = { 0.05, 0.1, 0.2, 0.4, 0.5, 0.5 }
      for i, seconds in ipairs(expected) do
        assert.is_near(seconds, times[i + 1] - times[i], 0.011)
      end
    end)

    it("waits as long as retry-after says, but no longer than HANDLER_WAIT", function()
      submit "message"
      answer("closing", { retry_after = 2 })
      Threads.advance(1.9)
      assert.are.equal(1, #lanes.carried)
      Threads.advance(0.2)
      assert.are.equal(2, #lanes.carried)
      answer("closing", { retry_after = 3600 })
      Threads.advance(8.1)
      assert.are.equal(3, #lanes.carried)
      answer "closing"
      assert.are.equal("closing", ended[1].answer.failure)
    end)

    it("tells the socket when HANDLER_WAIT is over", function()
      submit "message"
      Threads.advance(10.5)
      answer "closing"
      assert.are.equal(503, ended[1].answer.status)
      assert.stub(Log.limited).was.called(1)
    end)
  end)

  describe("while no handler can be reached", function()
    it("lets one event try every 100 ms, and sends the others when a handler answers", function()
      for i = 1, 4 do
        submit("message", { id = tostring(i) })
      end
      for i = 1, 4 do
        answer("unavailable", { request = i })
      end
      assert.are.equal(4, #lanes.carried)
      for _ = 1, 10 do
        Threads.advance(0.1)
        answer "unavailable"
      end
      assert.are.equal(14, #lanes.carried)
      Threads.advance(0.1)
      answer()
      assert.are.equal(18, #lanes.carried, "the other three")
      assert.stub(Log.warn).was.called(2)
    end)

    it("lets an event try that may not wait, and so finds a handler that is back", function()
      dispatch.config.HANDLER_WAIT = 0
      submit "message"
      Threads.advance(0.01)
      answer "unavailable"
      assert.are.equal("unavailable", ended[1].answer.failure)
      submit "message"
      Threads.advance(0.2)
      assert.are.equal(2, #lanes.carried)
      answer()
      assert.are.equal(200, ended[2].answer.status)
      submit "message"
      assert.are.equal(3, #lanes.carried, "immediately")
    end)

    it("keeps messages for HANDLER_WAIT and close events for 5 minutes", function()
      submit("message", { id = "message" })
      submit("close", { id = "close" })
      answer("unavailable", { request = 1 })
      answer("unavailable", { request = 2 })
      lanes.left = 0
      Threads.advance(10.2)
      assert.are.equal(1, #ended)
      assert.are.equal("message", ended[1].event.id)
      Threads.advance(289)
      assert.are.equal(1, #ended)
      Threads.advance(1.2)
      assert.are.equal("close", ended[2].event.id)
      assert.stub(Log.error).was.called(1)
    end)

    it("keeps a close event as long as its socket says, which tries again without a line in the log", function()
      submit("close", { patience = 5 })
      answer "unavailable"
      lanes.left = 0
      Threads.advance(4.9)
      assert.are.equal(0, #ended)
      Threads.advance(0.3)
      assert.are.equal("unavailable", ended[1].answer.failure)
      assert.stub(Log.error).was.called(0)
    end)

    it("holds 10,000 close events, and gives up the next", function()
      submit "close"
      answer "unavailable"
      lanes.left = 0
      for _ = 2, 10000 do
        submit "close"
      end
      assert.are.equal(0, #ended)
      submit "close"
      assert.are.equal("unavailable", ended[1].answer.failure)
    end)
  end)

  it("sends a close event again after every failure but an answer that cannot be read", function()
    for _, failure in ipairs { "lost", "timeout", "closing" } do
      local before = #lanes.carried
      submit "close"
      answer(failure)
      Threads.advance(0.01)
      assert.are.equal(before + 2, #lanes.carried, failure)
      answer()
    end
    local before = #lanes.carried
    submit "close"
    answer "malformed"
    Threads.advance(1)
    assert.are.equal(before + 1, #lanes.carried)
  end)

  it("goes on after a defect in what an answer does", function()
    submit("message", { fails = true })
    answer()
    assert.stub(Log.error).was.called(1)
    submit "message"
    answer()
    assert.are.equal(2, #ended)
  end)

  it("reports that it is idle when nothing is in flight and nothing waits", function()
    submit "message"
    submit "close"
    dispatch:check_idle()
    assert.are.equal(0, idle)
    answer(nil, { request = 1 })
    assert.are.equal(0, idle)
    answer(nil, { request = 2 })
    assert.are.equal(1, idle)
  end)

  it("counts an open as ended when its answer was taken, and looks again in a worker that is shutting down", function()
    submit "open"
    answer()
    assert.are.equal(0, idle)
    is_leaving = true
    dispatch:opened()
    Threads.advance(0)
    assert.are.equal(1, idle)
  end)
end)
