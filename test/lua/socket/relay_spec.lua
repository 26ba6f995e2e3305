require "support.ngx"
local Relay = require "framegate.socket.relay"
local RelayedStream = require "framegate.socket.relayed_stream"

-- A connection, or the stream of one, that notes what is asked of it.
local function new_connection()
  return {
    sent = {},
    outbox = { is_full = function(self) return self.full == true end },
    send = function(self, payload, is_text) self.sent[#self.sent + 1] = { payload, is_text } end,
    answered = function(self, event, answer)
      self.event, self.answer = event, answer
    end,
  }
end

local function new_stream(connection)
  return {
    event = { id = "id/3" },
    hops = 0,
    resumed = 0,
    connection = connection,
    divert = function(self, to) self.connection = to end,
    resume = function(self) self.resumed = self.resumed + 1 end,
    stop = function(self, answer) self.stopped = answer or "stopped" end,
  }
end

local END = { status = 204, headers = { ["ws-close"] = "4001 bye" }, body = "" }

describe("a streamed answer", function()
  local asked, held, lose

  before_each(function()
    asked, held, lose = {}, 0, {}
    local worker = {
      members = { worker = function() return "worker" end },
      dispatch = {
        hold = function(_, by) held = held + by end,
        check_idle = function() end,
      },
      bus = {
        watch = function(_, on_lost) lose[#lose + 1] = on_lost end,
        ask = function(_, to, request, on_result)
          asked[#asked + 1] =
            { to = to, op = request.op, args = request.args, payload = request.payload, answer = on_result }
        end,
      },
    }
    Relay.wire(worker)
    RelayedStream.wire(worker)
  end)

  local function lose_worker(name)
    for _, on_lost in ipairs(lose) do
      on_lost(name)
    end
  end

  describe("whose socket goes to another worker", function()
    local connection, stream, relay

    before_each(function()
      connection = new_connection()
      stream = new_stream(connection)
      connection.stream = stream
      relay = Relay.begin(connection, "other")
    end)

    it("waits until the socket is there, and then goes on, one message at a time", function()
      stream.connection:send("a", true)
      stream.connection:send("bc", true)
      assert.are.same({ key = "worker/1", from = "worker", event = "id/3", hops = 1 }, relay:facts())
      assert.are.same({}, asked)
      relay:settle(connection, true)
      assert.is_nil(connection.stream)
      stream.connection:send("d", true)
      assert.are.equal(1, #asked)
      assert.are.same({ key = "worker/1", lengths = { 1, 2 }, is_text = true }, asked[1].args)
      assert.are.same({ "other", "relay_stream", "abc" }, { asked[1].to, asked[1].op, asked[1].payload })
      asked[1].answer {}
      assert.are.equal("d", asked[2].payload)
      assert.are.equal(1, stream.resumed)
      stream.connection:answered(stream.event, END)
      asked[2].answer {}
      assert.are.same(END, asked[3].args.answer)
      assert.are.equal(1, held)
      asked[3].answer {}
      assert.are.equal(0, held)
      assert.is_nil(stream.stopped)
    end)

    it("waits while much is on its way", function()
      relay:settle(connection, true)
      stream.connection:send("x", true)
      stream.connection:send(("x"):rep(65535), true)
      assert.is_false(stream.connection.outbox:is_full())
      stream.connection:send("x", true)
      assert.is_true(stream.connection.outbox:is_full())
      asked[1].answer {}
      assert.is_false(stream.connection.outbox:is_full())
    end)

    it("goes on when it waited for room that has left with the socket", function()
      local resumed = 0
      stream.resume = function() resumed = resumed + 1 end
      relay:settle(connection, true)
      assert.are.equal(1, resumed)
    end)

    it("comes back with what was gathered when the socket stays", function()
      stream.connection:send("a", false)
      relay:settle(connection, false)
      assert.are.same({ { "a", false } }, connection.sent)
      assert.are.equal(connection, stream.connection)
      assert.are.equal(stream, connection.stream)
      assert.are.equal(0, held)
    end)

    it("that has ended meanwhile ends there when the socket stays", function()
      stream.connection:answered(stream.event, END)
      relay:settle(connection, false)
      assert.are.same({ stream.event, END }, { connection.event, connection.answer })
    end)

    it("is stopped by the other side", function()
      relay:settle(connection, true)
      Relay.stop { key = "worker/1", answer = END }
      assert.are.equal(END, stream.stopped)
      assert.are.same({ is_gone = true }, Relay.stop { key = "worker/2" })
    end)

    it("is stopped when the other side does not know it, or was killed", function()
      relay:settle(connection, true)
      stream.connection:send("a", true)
      asked[1].answer { is_gone = true }
      assert.are.equal("stopped", stream.stopped)
      assert.are.equal(0, held)
      stream.connection:answered(stream.event, END)
      assert.are.equal(1, #asked)

      stream = new_stream(connection)
      connection.stream = stream
      relay = Relay.begin(connection, "other")
      lose_worker "other"
      assert.is_nil(stream.stopped, "it is not known yet whether the socket is there")
      relay:settle(connection, true)
      lose_worker "another"
      assert.is_nil(stream.stopped)
      lose_worker "other"
      assert.are.equal("stopped", stream.stopped)
      assert.are.equal(0, held)
    end)
  end)

  describe("whose socket has come from another worker", function()
    local connection, stream
    local FACTS = { key = "other/7", from = "other", event = "id/3", hops = 1 }

    before_each(function()
      connection = new_connection()
      RelayedStream.begin(connection, FACTS)
      stream = connection.stream
    end)

    local function take(lengths, payload, answer)
      return RelayedStream.take({ key = "other/7", lengths = lengths, is_text = true, answer = answer }, payload)
    end

    it("is in flight, and sends its frames until its end", function()
      assert.is_true(connection.is_in_flight)
      assert.are.same({}, take({ 1, 0, 2 }, "abc"))
      assert.are.same({ { "a", true }, { "", true }, { "bc", true } }, connection.sent)
      assert.are.equal(1, held)
      assert.are.same({}, take({ 1 }, "d", END))
      assert.are.same({ { id = "id/3", kind = "message" }, END }, { connection.event, connection.answer })
      assert.are.equal(0, held)
      assert.are.same({ is_gone = true }, take({ 1 }, "e"))
    end)

    it("asks for more when the socket has room", function()
      connection.outbox.full = true
      local result
      take({ 1 }, "a")(function(value) result = value end)
      stream:resume()
      assert.is_nil(result)
      connection.outbox.full = false
      stream:resume()
      assert.are.same({}, result)
    end)

    it("is stopped once, and its end comes from the other worker", function()
      connection.outbox.full = true
      local result
      take({ 1 }, "a")(function(value) result = value end)
      stream:stop(END)
      stream:stop()
      assert.are.same({}, result)
      assert.are.equal(1, #asked)
      assert.are.same({ "other", "stop_stream" }, { asked[1].to, asked[1].op })
      assert.are.same({ key = "other/7", answer = END }, asked[1].args)
      assert.are.same({}, take({ 1 }, "b"))
      take({}, "", END)
      assert.are.equal(END, connection.answer)
    end)

    it("ends when it is stopped and the other worker does not know it any more", function()
      stream:stop(END)
      asked[1].answer { is_gone = true }
      assert.are.equal(END, connection.answer)
      assert.are.equal(0, held)
    end)

    it("ends with an error when the other worker was killed", function()
      lose_worker "another"
      assert.is_nil(connection.answer)
      lose_worker "other"
      assert.are.equal("lost", connection.answer.failure)
      assert.are.equal(0, held)
    end)

    it("goes along to further workers, but not without end", function()
      local relay = Relay.begin(connection, "third")
      assert.are.same({ key = "worker/1", from = "worker", event = "id/3", hops = 2 }, relay:facts())
      relay:settle(connection, true)
      take({ 1 }, "a")
      assert.are.same({ "third", "a" }, { asked[1].to, asked[1].payload })
      take({}, "", END)
      asked[1].answer {}
      assert.are.equal(END, asked[2].args.answer)
      assert.is_true(stream:may_move())
      RelayedStream.begin(connection, { key = "other/8", from = "other", event = "id/4", hops = 16 })
      assert.is_false(connection.stream:may_move())
    end)
  end)
end)
