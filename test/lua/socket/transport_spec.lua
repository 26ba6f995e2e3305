local Loop = require "support.event_loop"
local Worker = require "support.worker"
local Transport = require "framegate.socket.transport"

describe("a transport", function()
  local connection, socket, transport

  before_each(function()
    Worker.new()
    Loop.reset()
    connection = {
      phase = "open",
      is_full = function(self) return self.full end,
      begin_closing = function(self) self.phase = "closing" end,
    }
    socket = {
      sent = {},
      send = function(self, data)
        self.sent[#self.sent + 1] = data
        return not self.is_broken
      end,
      settimeouts = function(self, ...) self.timeouts = { ... } end,
    }
    transport = Transport.new(connection, socket, 4711)
  end)

  it("has four fields while it is idle", function()
    local count = 0
    for _ in pairs(transport) do
      count = count + 1
    end
    -- The fake of a semaphore has two fields, a real one has one.
    assert.is_true(count <= 5, count .. " fields")
  end)

  it("has the same four fields with compression, which those of one agreement share", function()
    local agreement = {}
    assert.is_false(transport.compression)
    assert.are.equal(transport, transport:agree(nil))
    assert.is_false(transport.compression)
    local before = {}
    for name in pairs(transport) do
      before[name] = true
    end
    assert.are.equal(transport, transport:agree(agreement))
    for name in pairs(transport) do
      assert.is_true(before[name], name)
    end
    assert.are.equal(agreement, transport.compression)
    local others = { Transport.new({}, socket):agree(agreement), Transport.new({}, socket):agree {} }
    assert.are.equal(getmetatable(transport), getmetatable(others[1]))
    assert.are_not.equal(agreement, others[2].compression)
    assert.is_false(Transport.new({}, socket).compression)
    assert.is_true(transport:write "still a transport")
    transport:wake()
  end)

  describe("writes", function()
    it("in pieces of 16 KiB at the most", function()
      assert.is_true(transport:write "short")
      assert.is_true(transport:write(("x"):rep(16384)))
      assert.is_true(transport:write(("x"):rep(40000)))
      local lengths = {}
      for i, data in ipairs(socket.sent) do
        lengths[i] = #data
      end
      assert.are.same({ 5, 16384, 16384, 16384, 7232 }, lengths)
    end)

    it("alone: the flusher has no address meanwhile", function()
      local seen
      socket.send = function()
        seen = transport.address
        return true
      end
      transport:write "frame"
      assert.is_nil(seen)
      assert.are.equal(4711, transport.address)
    end)

    it("nothing after half a frame, and nobody else does", function()
      socket.is_broken = true
      assert.is_false(transport:write(("x"):rep(40000)))
      assert.are.equal(1, #socket.sent)
      assert.is_nil(transport.address)
    end)
  end)

  describe("begins", function()
    it("with nothing for a client that asked for no session", function()
      assert.is_true(transport:begin(nil, nil, false))
      assert.are.same({}, socket.sent)
    end)

    it("with the news that there is no session", function()
      assert.is_true(transport:begin(nil, { key = "k", received = 7 }, false))
      assert.matches('{"session":null,"for":"k","resumed":false', table.concat(socket.sent), 1, true)
    end)

    it("with the first frames of a session, behind what its client has only if it is the same", function()
      local session =
        { first_frames = function(_, ...) return table.concat({ ... }, " ", 1, 2) .. tostring(select(3, ...)) end }
      transport:begin(session, { key = "k", received = 7 }, false)
      transport:begin(session, { key = "k", received = 7 }, true)
      assert.are.same({ "k 0false", "k 7true" }, socket.sent)
    end)
  end)

  it("begins with frames in the form that was agreed", function()
    transport:agree { apply_all = function(_, frames) return "<" .. #frames .. ">" end }
    transport:begin({ first_frames = function() return "abc" end }, { key = "k" }, false)
    assert.are.same({ "<3>" }, socket.sent)
  end)

  it("limits reading in milliseconds, and never to nothing", function()
    transport:limit_reading(2.5)
    assert.are.same({ 1000, 60000, 2500 }, socket.timeouts)
    transport:limit_reading(-1)
    assert.are.same({ 1000, 60000, 1 }, socket.timeouts)
  end)

  it("wakes its writer if it waits, and never twice", function()
    transport:wake()
    local woken = 0
    Loop.spawn(function()
      while transport:wait(10) do
        woken = woken + 1
      end
    end)
    Loop.run(1)
    assert.are.equal(0, woken)
    transport:wake()
    transport:wake()
    Loop.run(1)
    assert.are.equal(1, woken)
  end)

  it("holds its reader up until there is room", function()
    local has_gone_on = false
    connection.full = true
    Loop.spawn(function()
      transport:wait_for_room()
      has_gone_on = true
    end)
    Loop.run(1)
    transport:wake_reader()
    Loop.run(1)
    assert.is_false(has_gone_on)
    connection.full = false
    transport:wake_reader()
    transport:wake_reader()
    Loop.run(1)
    assert.is_true(has_gone_on)
  end)

  describe("when reading ends", function()
    local function await()
      local waited_until
      Loop.spawn(function()
        transport:await_reader(3)
        waited_until = require("support.ngx").now
      end)
      Loop.run(0)
      return function()
        Loop.run(10)
        return waited_until
      end
    end

    it("without a close frame of ours on its way, the peer is lost", function()
      transport:end_reading()
      assert.is_true(transport.is_lost)
      assert.are.equal("closing", connection.phase)
    end)

    it("with one, what waits is still written", function()
      connection.phase = "closing"
      transport:end_reading()
      assert.is_nil(transport.is_lost)
    end)

    it("the writer goes on, which waits for it, but not for long", function()
      local result = await()
      transport:end_reading()
      assert.are.equal(1000, result())
      transport = Transport.new(connection, socket)
      require("support.ngx").now = 1000
      assert.are.equal(1003, await()())
    end)

    it("or the peer's last message has come, nobody waits", function()
      transport:begin_closing()
      assert.are.equal(1000, await()())
    end)
  end)
end)
