local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Config = require "framegate.config"
local Journal = require "framegate.socket.journal"
local Record = require "framegate.socket.record"
local RecordText = require "framegate.socket.record_text"

describe("a record", function()
  local worker

  before_each(function()
    worker = Worker.new()
    Loop.reset()
  end)

  local function connection(changes)
    local facts = {
      id = "nodeworker-1",
      traffic = { opened = 1700000000.1234 },
      opened_at = 12.3456,
      began_at = function(self) return self.opened_at end,
      path = "/ws/a?b",
      handshake = "host: a\r\ncookie: b\r\n",
      options = {},
    }
    for name, value in pairs(changes or {}) do
      facts[name] = value
    end
    return facts
  end

  local function read(id) return RecordText.read(id, Record.of_worker("nodeworker")[id]) end

  it("gives back what a close event needs", function()
    Record.write(connection { state = "%0A" })
    assert.are.same({
      id = "nodeworker-1",
      opened = 1700000000.123,
      opened_at = 12.346,
      state = "%0A",
      path = "/ws/a?b",
      handshake = "host: a\r\ncookie: b\r\n",
    }, read "nodeworker-1")
  end)

  it("leaves out the headers that RECORD_HEADERS does not list", function()
    Record.write(connection { handshake = "host: a\r\ncookie: b\r\nauthorization: c\r\nx-forwarded-for: d\r\n" })
    assert.are.equal("host: a\r\ncookie: b\r\nx-forwarded-for: d\r\n", read("nodeworker-1").handshake)
  end)

  it("gives back how its handler speaks, and has only listed headers where all go to the handler", function()
    local handshake = "host: a\r\ncookie: b\r\nx-secret: c\r\nx-forwarded-for: d\r\nce-transport: sse\r\n"
    Record.write(
      connection { handshake = handshake, options = { protocol = "grip", handler = "http://a" }, user = "ann" }
    )
    local record = read "nodeworker-1"
    assert.are.same({ "grip", "http://a", "ann" }, { record.protocol, record.handler, record.user })
    assert.are.equal("host: a\r\ncookie: b\r\nx-forwarded-for: d\r\nce-transport: sse\r\n", record.handshake)
    Record.write(connection { handshake = handshake })
    assert.is_nil(read("nodeworker-1").protocol)
  end)

  it("of a socket that has ended gives back how, too", function()
    for _, reason in ipairs { "", "a reason\n%41 – long" } do
      local closing = { code = 4001, reason = reason, cause = "client" }
      Record.close(connection { closing = closing, opened_at = 10, ended_at = 11.5 })
      local record = read "nodeworker-1"
      assert.are.same({ { code = 4001, reason = reason }, 1.5 }, { record.closing, record.seconds })
      assert.are.equal("/ws/a?b", record.path)
    end
  end)

  it("gives back the user", function()
    for _, user in ipairs { "zoë", "@a ~b", "" } do
      Record.write(connection { user = user, options = { handler = user ~= "" and "http://a" or nil } })
      assert.are.equal(user, read("nodeworker-1").user)
      local closing = { code = 4001, reason = "~r", cause = "client" }
      Record.close(connection { user = user, closing = closing, ended_at = 14 })
      assert.are.same({ user, "~r" }, { read("nodeworker-1").user, read("nodeworker-1").closing.reason })
    end
  end)

  it("gives back the handler, which no reason of a client can change", function()
    local handler = "http://a:3000 weight=3, fastcgi://unix:/run/php.sock?script=/srv/ä.php"
    Record.write(connection { options = { handler = handler } })
    assert.are.equal(handler, read("nodeworker-1").handler)
    local closing = { code = 4001, reason = " @http://b", cause = "client" }
    Record.close(connection { closing = closing, ended_at = 14, options = { handler = handler } })
    local record = read "nodeworker-1"
    assert.are.same({ handler, " @http://b", 4001 }, { record.handler, record.closing.reason, record.closing.code })
    Record.close(connection { closing = closing, ended_at = 14 })
    assert.is_nil(read("nodeworker-1").handler)
  end)

  it("is found by the names of its node and worker, until it is removed", function()
    Record.write(connection { id = "nodeworker-1" })
    Record.write(connection { id = "nodeworker-2" })
    Record.write(connection { id = "nodeworker-3" })
    Record.write(connection { id = "nodeother--4" })
    Record.remove { id = "nodeworker-1" }
    Record.leave { id = "nodeworker-2" }
    local texts = Record.of_worker "nodeworker"
    assert.are.equal("nodeworker-3", next(texts))
    assert.is_nil(next(texts, "nodeworker-3"))
    assert.is_nil(read("nodeworker-3").state)
  end)

  it("is not read from another text", function() assert.is_nil(RecordText.read("nodeworker-1", "text")) end)

  it("that finds no room is reported once, until there may be room again", function()
    local safe_set = ngx.shared.sockets.safe_set
    ngx.shared.sockets.safe_set = function() return nil, "no memory" end
    Record.write(connection())
    Record.write(connection())
    assert.are.same({ "nodeworker-1: no close event will follow if this worker is killed: no memory" }, worker.lines)
    Record.remove { id = "nodeworker-2" }
    Record.write(connection())
    assert.are.equal(2, #worker.lines)
    ngx.shared.sockets.safe_set = safe_set
  end)

  describe("in the journal", function()
    local create, written, beat

    before_each(function()
      written = {}
      local journal = setmetatable({ owed = 1 }, {
        __index = function(_, name)
          return function(_, id, text) written[#written + 1] = { name, id, text and RecordText.read(id, text).state } end
        end,
      })
      create, Journal.create = Journal.create, function() return journal end
      rawset(ngx.timer, "every", function(_, run) beat = run end)
      Config.run = "/run/framegate"
      Record.start "nodeworker"
    end)

    after_each(function() Journal.create = create end)

    it("is written once a second with the last state, until the socket ends", function()
      local a, b = connection(), connection { id = "nodeworker-2", closing = { code = 1000, reason = "" } }
      Record.write(a)
      for i = 1, 10 do
        a.state, b.state = "a" .. i, "b" .. i
        Record.update(a)
        Record.update(b)
        Loop.run(0)
      end
      assert.are.same({ { "add", "nodeworker-1" } }, written)
      assert.are.equal("a10", read("nodeworker-1").state)
      b.ended_at = 13.5
      Record.close(b)
      Record.remove(b)
      Loop.run(5)
      assert.are.same({
        { "add", "nodeworker-1" },
        { "replace", "nodeworker-2", "b10" },
        { "remove", "nodeworker-2" },
        { "replace", "nodeworker-1", "a10" },
      }, written)
    end)

    it("of a socket that another worker held is removed where it is", function()
      local removed
      Record.remove { id = "otherone-1", journal = { remove = function(_, id) removed = id end } }
      assert.are.equal("otherone-1", removed)
      assert.are.same({}, written)
    end)

    it("of a life that was buried is not in the journal of the next one", function()
      local former = connection()
      Record.write(former)
      Record.restart "nextworker"
      former.closing, former.ended_at = { code = 1012, reason = "" }, Stub.now
      Record.close(former)
      Record.remove(former)
      local later = connection { id = "nextworker-1", opened_at = Stub.now }
      Record.write(later)
      Record.remove(later)
      assert.are.same({
        { "add", "nodeworker-1" },
        { "discard" },
        { "add", "nextworker-1" },
        { "remove", "nextworker-1" },
      }, written)
    end)

    it("is kept in time by a beat, and let go at the end", function()
      beat()
      Record.stop()
      assert.are.same({ { "touch" }, { "close" } }, written)
    end)
  end)
end)
