local Moves = require "support.moves"
local Loop = require "support.event_loop"
local Worker = require "support.worker"
local Encoder = require "framegate.protocol.encoder"
local Orphans = require "framegate.socket.orphans"
local Parcel = require "framegate.session.parcel"
local Places = require "framegate.session.places"
local TakeOver = require "framegate.socket.take_over"

local FROM = "nodeanothe"

describe("taking a socket from another worker", function()
  local worker, parcel, id, found, orphans, add

  before_each(function()
    worker = Moves.worker()
    parcel, id = Moves.parcel(worker, { delivered = { nodeanothe = 5 }, kept = {} })
    worker.carriers.answers.begin_hand_over = {
      path = "/ws/echo",
      handshake = "host: a\r\n",
      topics = { "news" },
      user = "ann",
    }
    Places.move(id, FROM)
    found = {}
    orphans, add = {}, Orphans.add
    Orphans.add = function(orphan, text) orphans[#orphans + 1] = { orphan, text } end
  end)

  after_each(function()
    Orphans.add = add
    Moves.finish(worker)
  end)

  -- Fetches it; `meanwhile` runs when this worker has asked for the socket, and returns the result of that.
  local function fetch(meanwhile)
    worker.carriers.answers.finish_hand_over = meanwhile
    Loop.spawn(function() found = { TakeOver.fetch(id, FROM, { key = "k" }) } end)
    Loop.run(0)
    return found
  end

  local function push(text, from)
    local message = Encoder.message(text, true)
    message.from = from
    return worker.registry:get(id):offer(message)
  end

  it("asks for its facts, enters it with them, and then asks for the socket", function()
    local topic, user
    fetch(function()
      topic, user = worker.registry:topic "news", worker.registry:user "ann"
      return TakeOver.take({ id = id, from = FROM }, parcel)
    end)
    assert.are.same(
      { FROM, "begin_hand_over", { id = id, client = { key = "k" }, to = "nodeworker" } },
      worker.carriers.asked[1]
    )
    assert.are.same({ FROM, "finish_hand_over", { id = id, to = "nodeworker" } }, worker.carriers.asked[2])
    assert.are.same({ 1, 1 }, { topic.count, user.count })
    assert.are.equal(worker.registry:get(id), found[1])
    assert.are.same({ "open", true }, { found[1].phase, found[1]:is_detached() })
    assert.are.equal(1, worker.counted.framegate_sessions_moved_total)
    assert.are.equal("nodeworker", Places.holder(id))
    assert.is_nil(found[1].moving)
  end)

  it("does not ask for it while a worker of this node stands still, which may have sent something there", function()
    worker.carriers.is_unsent = true
    fetch(function() return { is_gone = true } end)
    assert.is_true(worker.carriers.asked[2][3].is_off)
    assert.are.same({ nil, "busy" }, found)
    assert.is_nil(worker.registry:get(id))
  end)

  it("delivers what was pushed meanwhile, without what the other side has delivered", function()
    fetch(function()
      push("old", { FROM, 5 })
      push("new", { FROM, 6 })
      push("own", { "nodeworker", 1 })
      push("unnumbered", nil)
      assert.are.same({ ok = true }, TakeOver.take({ id = id, from = FROM }, parcel))
      assert.is_true(push("late", { FROM, 4 }))
      push("next", { FROM, 7 })
    end)
    local frames = ""
    for _, text in ipairs { "new", "own", "unnumbered", "next" } do
      frames = frames .. Encoder.frame(text, true)
    end
    assert.are.equal(frames, Worker.written(found[1]))
  end)

  it(
    "does not deliver frames that come from the history, of a topic that is followed only since the move began",
    function()
      local kept = { { topic = "news", position = "e.5" } }
      parcel, id = Moves.parcel(worker, { delivered = {}, kept = kept })
      fetch(function()
        for _, topic in ipairs { "news", "other" } do
          local message = Encoder.message(topic, true)
          message.topic = topic
          worker.registry:get(id):offer(message)
        end
        push("untopical", nil)
        return TakeOver.take({ id = id, from = FROM }, parcel)
      end)
      assert.are.equal(Encoder.frame("other", true) .. Encoder.frame("untopical", true), Worker.written(found[1]))
      assert.are.equal("e.5", worker.feeds.followed[1].after)
    end
  )

  it("puts what it brings before what was pushed meanwhile", function()
    parcel, id = Moves.parcel(worker, nil, function(connection) connection:send("first", true) end)
    fetch(function()
      push("second", nil)
      return TakeOver.take({ id = id, from = FROM }, parcel)
    end)
    assert.are.equal(Encoder.frame("first", true) .. Encoder.frame("second", true), Worker.written(found[1]))
  end)

  it("sends its waiting messages to the handler", function()
    parcel, id = Moves.parcel(worker, nil, function(connection)
      connection.is_in_flight = true
      connection:receive("a", true)
    end)
    fetch(function() return TakeOver.take({ id = id, from = FROM }, parcel) end)
    assert.are.equal("a", worker.dispatch.events[1].body)
    assert.are.equal(found[1], worker.dispatch.events[1].connection)
  end)

  it("follows kept topics behind what was delivered there", function()
    local kept = { { topic = "kept", position = "e.5" }, { topic = "empty", position = "" } }
    parcel, id = Moves.parcel(worker, { delivered = {}, kept = kept })
    fetch(function() return TakeOver.take({ id = id, from = FROM }, parcel) end)
    assert.are.same({
      { topic = "kept", after = "e.5", otherwise = "last", is_patient = true },
      { topic = "empty", last = math.huge, otherwise = "last", is_patient = true },
    }, worker.feeds.followed)
  end)

  it("keeps its worker alive until the move is over", function()
    local held
    fetch(function()
      held = worker.dispatch.held
      return TakeOver.take({ id = id, from = FROM }, parcel)
    end)
    assert.are.same({ 1, 0 }, { held, worker.dispatch.held })
  end)

  it("is tried again when its worker has nothing left, and reaches no others", function()
    worker.members.has_left = function() return true end
    assert.are.same({ nil, "busy" }, fetch())
    assert.are.same({ {}, 0 }, { worker.carriers.asked, worker.dispatch.held })
  end)

  it("gives its client a new socket where that one is gone or refused", function()
    for _, answer in ipairs { { is_gone = true }, false } do
      worker.carriers.answers.begin_hand_over = answer or nil
      assert.are.same({ nil, "gone" }, fetch())
    end
    worker.carriers.answers.begin_hand_over = { is_refused = true }
    assert.are.same({}, fetch())
    assert.is_nil(worker.registry:get(id))
  end)

  it("is tried again when it came, and has left again at once", function()
    fetch(function()
      local result = TakeOver.take({ id = id, from = FROM }, parcel)
      worker.registry:get(id):leave()
      return result
    end)
    assert.are.same({ nil, "busy" }, found)
    assert.is_nil(worker.registry:get(id))
  end)

  it("asks the worker to which a killed one has given it", function()
    worker.carriers.answers.begin_hand_over = function()
      Places.move(id, "nodethirdd")
      return nil
    end
    assert.are.same({ nil, "gone" }, fetch())
    local asked = {}
    for i, ask in ipairs(worker.carriers.asked) do
      asked[i] = ask[1]
    end
    assert.are.same({ FROM, "nodethirdd" }, asked)
  end)

  it("is tried again when it has come to this worker meanwhile", function()
    worker.carriers.answers.begin_hand_over = { moved = "nodeworker" }
    assert.are.same({ nil, "busy" }, fetch())
    assert.are.equal(1, #worker.carriers.asked)
  end)

  it("is tried again while it moves between others", function()
    worker.carriers.answers.begin_hand_over = { is_gone = true }
    Places.begin_move(id, FROM, "nodethirdd")
    assert.are.same({ nil, "busy" }, fetch())
    Places.decide(id, "killed")
    assert.are.same({ nil, "gone" }, fetch())
  end)

  it("is tried again where it moves already", function()
    worker.carriers.answers.begin_hand_over = { is_busy = true }
    assert.are.same({ nil, "busy" }, fetch())
  end)

  it("is tried again when another transport of its client was faster", function()
    worker.carriers.answers.begin_hand_over = function()
      worker.registry:add { id = id, phase = "ended" }
      return { path = "/ws/echo", handshake = "", topics = {} }
    end
    assert.are.same({ nil, "busy" }, fetch())
    assert.are.equal(1, #worker.carriers.asked)
    worker.registry:remove(worker.registry:get(id))
  end)

  it("forgets it when it does not come, and no close event follows", function()
    assert.are.same({ nil, "busy" }, fetch(function() return { is_gone = true } end))
    assert.is_nil(worker.registry:get(id))
    assert.are.same({}, worker.dispatch.events)
    assert.are.same({}, orphans)
    assert.are.same({}, worker.registry.topics)
    assert.are.same({ ok = false }, TakeOver.take({ id = id, from = FROM }, parcel))
  end)

  it("owes its close event when the other side died right after it gave the socket away", function()
    fetch(function()
      Places.move(id, "nodeworker")
      ngx.shared.sockets:set(id, "record")
    end)
    assert.are.same({ { id, "record" } }, orphans)
  end)

  it("logs a defect, and lets the client try again", function()
    assert.are.same({ nil, "busy" }, fetch(function() error "broken" end))
    assert.matches("taking a socket over failed", worker.lines[1])
  end)

  it("refuses a parcel that is cut off or of another version, and waits for nothing more", function()
    fetch(function()
      assert.are.same({ ok = false }, TakeOver.take({ id = id, from = FROM }, parcel:sub(1, -2)))
      assert.are.same({ ok = false }, TakeOver.take({ id = id, from = FROM }, "2" .. parcel:sub(2)))
      assert.are.same({ ok = false }, TakeOver.take({ id = "nodeworkernobody", from = FROM }, parcel))
    end)
    assert.are.same({ nil, "busy" }, found)
  end)

  it("accepts a socket once", function()
    fetch(function()
      TakeOver.take({ id = id, from = FROM }, parcel)
      return TakeOver.take({ id = id, from = FROM }, parcel)
    end)
    assert.is_table(found[1])
    assert.are.same({ ok = false }, TakeOver.take({ id = id, from = FROM }, parcel))
  end)

  it("from a node that stops needs no client", function()
    local is_done = false
    worker.carriers.answers.finish_hand_over = function() return TakeOver.take({ id = id, from = FROM }, parcel) end
    TakeOver.adopt(id, FROM, function() is_done = true end)
    Loop.run(0)
    assert.is_true(is_done)
    assert.is_nil(worker.carriers.asked[1][3].client)
    assert.are.equal("open", worker.registry:get(id).phase)
  end)

  it("that a stopped gateway kept enters topics and user, and only once", function()
    local kept = { { topic = "kept", position = "e.5" } }
    parcel, id = Moves.parcel(worker, { kept = kept }, function(connection)
      worker.registry:subscribe(connection, "news")
      worker.registry:subscribe(connection, "kept")
      worker.registry:name_user(connection, "ann")
    end)
    local facts, items = Parcel.unpack(parcel)
    assert.is_true(TakeOver.unpark(facts, items))
    local connection = worker.registry:get(id)
    assert.are.same({ "news", nil, "ann" }, { connection.topics[1], connection.topics[2], connection.user })
    assert.are.same({ "open", true }, { connection.phase, connection:is_detached() })
    assert.are.equal("kept", worker.feeds.followed[1].topic)
    assert.is_string(ngx.shared.sockets:get(id))
    assert.is_false(TakeOver.unpark(facts, items))
  end)
end)
