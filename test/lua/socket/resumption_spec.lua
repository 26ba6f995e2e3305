local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Moving = require "framegate.socket.moving"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local Resumption = require "framegate.socket.resumption"

describe("the return to a session", function()
  local worker, connection, transport, found, parts, answers

  before_each(function()
    Loop.run(1e6)
    Loop.reset()
    worker = Worker.new()
    connection, transport = Worker.open_session(worker)
    connection:set_handshake "host: a\r\norigin: http://a\r\ncookie: c\r\nauthorization: b\r\nx-forwarded-for: 1.2.3.4\r\n"
    found, answers = {}, {}
    parts = {
      recall = function(moving) answers.recalled = moving end,
      fetch = function(id, holder)
        if answers.gone then
          return nil, "gone"
        end
        return id .. " from " .. holder
      end,
      carriers = {
        claim = function() return answers.claim end,
        find = function() return answers.found, answers.is_unsure end,
      },
    }
  end)

  after_each(function()
    if connection.phase ~= "ended" then
      connection:finish()
    end
  end)

  local function client(changes)
    local wanted = {
      key = connection.session.token,
      received = 0,
      path = "/ws/echo",
      lines = "host: b\r\norigin: http://a\r\ncookie: c\r\nauthorization: b\r\nx-forwarded-for: 5.6.7.8\r\n",
    }
    for name, value in pairs(changes or {}) do
      wanted[name] = value
    end
    return wanted
  end

  local function find(changes)
    local place = #found + 1
    found[place] = {}
    Loop.spawn(function() found[place] = { Resumption.find(client(changes), parts) } end)
    Loop.run(0)
    return found[place]
  end

  it("is for the same path, page and user, from whatever address", function()
    assert.are.same({ connection }, find())
    local lines = client().lines
    for _, changes in ipairs {
      { key = ("x"):rep(32) },
      { path = "/ws/other" },
      { path = "/ws/echo?x=1" },
      { lines = lines:gsub("http://a", "http://b") },
      { lines = lines:gsub("origin: http://a\r\n", "") },
      { lines = lines:gsub("cookie: c", "cookie: d") },
      { lines = lines:gsub("cookie: c\r\n", "") },
      { lines = lines:gsub("authorization: b", "authorization: c") },
      { received = 1 },
    } do
      assert.are.same({}, find(changes))
    end
  end)

  it("may be another user's where the handler decides", function()
    connection.session.mode = "check"
    local lines = client().lines
    assert.are.same({ connection }, find { lines = lines:gsub("cookie: c", "cookie: d") })
    assert.are.same({}, find { lines = lines:gsub("http://a", "http://b") })
  end)

  describe("of a client that lacks what is let go", function()
    before_each(function()
      connection:send("gone", true)
      Worker.written(connection)
      connection.session.ring:acknowledge(1)
    end)

    it("ends the session: the client gets a new socket", function()
      assert.are.same({}, find { received = 0 })
      local closing = connection.closing
      assert.are.same({ "ended", 1006, "lost" }, { connection.phase, closing.code, closing.cause })
      assert.matches("not kept any more", closing.reason)
      assert.is_true(transport.is_abandoned)
    end)

    it("leaves it open if that is somebody else, also where the handler decides", function()
      local lines = client().lines:gsub("cookie: c", "cookie: d")
      for _, mode in ipairs { "notify", "check" } do
        connection.session.mode = mode
        for _, changes in ipairs { { lines = lines }, { path = "/ws/other" }, { key = ("x"):rep(32) } } do
          changes.received = 0
          assert.are.same({}, find(changes))
        end
      end
      assert.are.same({}, find { received = 2 })
      assert.are.same({ connection }, find { received = 1 })
    end)
  end)

  it("needs an offer of the subprotocol", function()
    connection.session.protocol = "chat"
    assert.are.same({}, find())
    assert.are.same({ connection }, find { offered = "log, chat" })
  end)

  it("is to an open session, and not to one that has ended", function()
    connection:close(1000, nil, "handler")
    assert.are.same({}, find())
    connection:finish()
    assert.are.same({}, find())
  end)

  it("waits while the first handshake is being answered, and not for a client that has left", function()
    Places.remove_key "nonce"
    Places.claim_key("nonce", connection.id, 40)
    find { key = "nonce" }
    Loop.run(5)
    assert.are.same({}, found[1])
    Places.set_key("nonce", connection.id, 60)
    Loop.run(1)
    assert.are.same({ connection }, found[1])
    Places.claim_key("nonce3", "nodeworkerother", 400)
    find { key = "nonce3" }
    worker.request.has_left = true
    Loop.run(1)
    assert.are.same({}, found[2])
  end)

  it("is not for a client that has left: it would take the socket from one that has not", function()
    worker.request.has_left = true
    assert.are.same({}, find())
    Places.move(connection.id, "nodeother")
    assert.are.same({}, find())
    Places.move(connection.id, "nodeworker")
  end)

  it("waits while it moves, for a while", function()
    find()
    assert.is_nil(answers.recalled)
    Moving.begin(connection, false)
    find()
    Loop.run(1)
    assert.are.equal(connection, answers.recalled)
    Moving.finish(connection)
    Loop.run(1)
    assert.are.same({ connection }, found[2])
    Moving.begin(connection, false)
    find()
    Loop.run(11)
    assert.are.same({ nil, "busy" }, found[3])
    Moving.finish(connection)
  end)

  it("is to another worker when the socket is there", function()
    Places.move(connection.id, "nodeanothe")
    assert.are.same({ connection.id .. " from nodeanothe" }, find())
    answers.gone = true
    assert.are.same({}, find())
    answers.is_unsure = true
    assert.are.same({ nil, "busy" }, find(), "it may have moved on to another node")
    Places.move(connection.id, "nodeworker")
  end)

  it("is to another node when only that knows the key", function()
    local key = ("x"):rep(32)
    answers.found = { id = "thatworkerid", holder = "thatworker" }
    assert.are.same({ "thatworkerid from thatworker" }, find { key = key })
    assert.are.same({}, find { key = key, is_new = true })
    answers.claim = true
    assert.are.same({ "thatworkerid from thatworker" }, find { key = key, is_new = true })
    answers.gone = true
    assert.are.same({}, find { key = key }, "what another node knew was out of date")
    answers.found.is_here = true
    assert.are.same({ nil, "busy" }, find { key = key }, "it has moved on meanwhile")
    answers.gone = nil
    answers.found = { id = "thatworkerid", holder = "thatworker", is_moving = true }
    assert.are.same({ nil, "busy" }, find { key = key }, "it is moving")
    answers.found = { is_opening = true }
    assert.are.same({ nil, "busy" }, find { key = key })
    answers.found, answers.is_unsure = nil, true
    assert.are.same({ nil, "busy" }, find { key = key })
    answers.is_unsure = nil
    assert.are.same({}, find { key = key })
  end)

  it("is to the node that has claimed its nonce, which may know it only a moment later", function()
    local key = ("x"):rep(32)
    answers.claim = true
    local result = find { key = key, is_new = true }
    answers.found = { is_opening = true }
    Loop.run(1)
    assert.are.same({}, result)
    assert.are.same({ nil, "busy" }, found[#found])
  end)

  it("is described for other nodes while a living worker may have the socket", function()
    local token = connection.session.token
    assert.are.same({}, Resumption.describe(token), "it has ended")
    Record.write(connection)
    local living = { worker = true, anothe = true }
    worker.holders.is_living = function(_, name) return living[name] end
    local here = { id = connection.id, holder = "nodeworker", is_here = true, is_moving = false }
    assert.are.same(here, Resumption.describe(token))
    Places.move(connection.id, "nodeanothe")
    assert.are.equal("nodeanothe", Resumption.describe(token).holder)
    living.anothe = nil
    Places.begin_move(connection.id, "nodeworker", "nodeanothe")
    assert.is_true(Resumption.describe(token).is_moving, "it may come back")
    Places.move(connection.id, "farrworker")
    local gone = { id = connection.id, holder = "farrworker", is_here = false, is_moving = true }
    assert.are.same(gone, Resumption.describe(token))
    Places.end_move(connection.id, "nodeworker", "nodeanothe")
    Places.move(connection.id, "nodeanothe")
    assert.are.same({}, Resumption.describe(token), "its worker was killed")
    assert.is_true(Places.claim_key(token, "nodeworkernew", 10), "its client's new socket gets the key")
    Places.void_key(token, connection.id)
    assert.are.equal("nodeworkernew", Places.of_key(token), "once")
    Places.set_key(token, connection.id, 60)
    Places.move(connection.id, "nodeworker")
    assert.are.same({}, Resumption.describe "unknown")
    Record.remove(connection)
  end)

  it("is described while it is opened, unless that worker was killed", function()
    local opening = { id = "nodeworkerx", holder = "nodeworker", is_opening = true, is_here = true, is_moving = false }
    Places.claim_key("opening", "nodeworkerx", 10)
    assert.are.same(opening, Resumption.describe "opening")
    worker.holders.is_living = function() return false end
    assert.are.same({}, Resumption.describe "opening")
    assert.is_nil(Places.of_key "opening")
    Places.claim_key("opening", "farrworkerx", 10)
    Places.move("farrworkerx", "node" .. Places.NOBODY)
    assert.is_true(Resumption.describe("opening").is_opening, "a file has it")
    Places.remove_key "opening"
    Places.forget "farrworkerx"
  end)

  it("is expected, and not counted again, only where there is such a session at rest", function()
    local key = connection.session.token
    assert.is_true(Resumption.is_expected(key))
    assert.is_false(Resumption.is_expected(("x"):rep(32)))
    Moving.begin(connection, false)
    assert.is_false(Resumption.is_expected(key))
    Moving.finish(connection)
    Places.claim_key("nonce2", connection.id, 40)
    assert.is_false(Resumption.is_expected "nonce2")
    Places.move(connection.id, "nodeanothe")
    assert.is_true(Resumption.is_expected(key))
    Places.move(connection.id, "thatanothe")
    assert.is_false(Resumption.is_expected(key))
    Places.move(connection.id, "nodeworker")
    connection:close(1000, nil, "handler")
    assert.is_false(Resumption.is_expected(key))
  end)
end)
