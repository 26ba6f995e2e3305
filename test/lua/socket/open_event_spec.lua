local Worker = require "support.worker"
local Connection = require "framegate.socket.connection"
local Loop = require "support.event_loop"
local OpenEvent = require "framegate.socket.open_event"
local RequestEnd = require "framegate.socket.request_end"

describe("a handshake that waits for the answer to open", function()
  local worker, results

  local function begin(id)
    local connection = Connection.new { id = id, path = "/", lines = "host: a\r\nx-forwarded-for: 192.0.2.1\r\n" }
    Loop.spawn(function() results[id] = { OpenEvent.send(connection, { location = { before_open = {} } }) } end)
  end

  local function kinds()
    local list = {}
    for _, event in ipairs(worker.dispatch.events) do
      list[#list + 1] = event.kind .. " " .. event.connection.id
    end
    return table.concat(list, ", ")
  end

  before_each(function()
    worker, results = Worker.new(), {}
    Loop.reset()
  end)

  after_each(RequestEnd.run)

  it("is left to half of the lanes, and waits for a slot no longer than for a handler and its answer", function()
    begin "a"
    begin "b"
    begin "c"
    Loop.run(1)
    assert.are.equal("open a, open b", kinds())
    Worker.answer(worker.dispatch.events[1])
    Loop.run(1)
    assert.are.equal("open a, open b, open c", kinds())
    begin "d"
    Loop.run(41)
    assert.are.equal("unavailable", results.d[1].failure)
    assert.are.equal("open a, open b, open c", kinds())
  end)

  it("notices that its client has left; a close event follows an answer that accepts it", function()
    begin "a"
    Loop.run(1)
    worker.request.has_left = true
    Loop.run(1)
    assert.are.same({}, results.a)
    assert.are.equal("open a", kinds())
    Worker.answer(worker.dispatch.events[1])
    assert.are.equal("open a, close a", kinds())
    assert.are.equal(1006, worker.dispatch.events[2].ended.code)
    assert.are.same({}, worker.registry.by_id)
  end)

  it("owes no close event when the handler refuses it, or cannot be reached", function()
    for id, answer in pairs { a = { status = 403 }, b = { status = 503, failure = "unavailable" } } do
      begin(id)
      worker.request.has_left = nil
      Loop.run(0)
      worker.request.has_left = true
      Loop.run(1)
      local events = worker.dispatch.events
      Worker.answer(events[#events], answer)
      assert.are.equal("open", events[#events].kind)
      assert.is_nil(ngx.shared.sockets:get(id))
    end
  end)

  describe("in a cluster", function()
    local written

    before_each(function()
      written = require("ngx.semaphore").new()
      worker.shared_records.written = function() return written end
    end)

    it("sends the event when Redis has the record of the socket, or takes longer than 1 s", function()
      begin "a"
      Loop.run(0.5)
      assert.are.same({ "", 1 }, { kinds(), worker.dispatch.held })
      written:post()
      Loop.run(0)
      assert.are.same({ "open a", 0 }, { kinds(), worker.dispatch.held })
      begin "b"
      Loop.run(1.1)
      assert.are.same({ "open a, open b", 0 }, { kinds(), worker.dispatch.held })
    end)

    it("sends none when its client leaves, or nginx ends its request, before that", function()
      begin "a"
      worker.request.has_left = true
      Loop.run(0.2)
      begin "b"
      Loop.run(0)
      RequestEnd.run()
      Loop.run(2)
      assert.are.same({ "", 0 }, { kinds(), worker.dispatch.held })
      for _, id in ipairs { "a", "b" } do
        assert.is_nil(ngx.shared.sockets:get(id))
      end
      assert.is_true(worker.dispatch.idle_checks > 0)
    end)
  end)

  it("is settled once when nginx ends its request, before the answer or after it", function()
    begin "a"
    Loop.run(0)
    RequestEnd.run()
    RequestEnd.run()
    Worker.answer(worker.dispatch.events[1])
    assert.are.equal("open a, close a", kinds())
    begin "b"
    Loop.run(0)
    Worker.answer(worker.dispatch.events[3])
    RequestEnd.run() -- the thread was woken, and ended before it ran
    assert.are.equal("open a, close a, open b, close b", kinds())
  end)
end)

describe("the end of a request", function()
  it("ends a socket that no thread ended, once, and lets go of it", function()
    local worker = Worker.new()
    local before = RequestEnd.total()
    local connection = Worker.open(worker)
    RequestEnd.own(connection)
    assert.are.equal(before + 1, RequestEnd.total())
    RequestEnd.run()
    assert.are.equal("ended", connection.phase)
    assert.are.equal("close", worker.dispatch.events[1].kind)
    assert.are.equal(before, RequestEnd.total())
    RequestEnd.own(connection)
    RequestEnd.run()
    assert.are.equal(1, #worker.dispatch.events)
  end)
end)
