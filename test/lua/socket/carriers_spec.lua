require "support.ngx"
local Loop = require "support.event_loop"
rawset(ngx.shared, "sessions", require("support.dictionary").new())
local Carriers = require "framegate.socket.carriers"
local Places = require "framegate.session.places"

local HERE, FAR = "nodeanothe", "farrworker"

describe("the way between two workers that move a socket", function()
  local calls, asks, requests, replies, outcome, holder, is_alone, carriers

  before_each(function()
    Loop.reset()
    calls, asks, requests, replies = {}, {}, {}, {}
    outcome, holder, is_alone = { results = {}, missing = {} }, "holder", false
    carriers = Carriers.new {
      members = { node = function() return "node" end },
      holders = { current = function() return holder end },
      bus = {
        call = function(_, worker, op, args)
          calls[#calls + 1] = { worker, op, args }
          return replies[op]
        end,
        ask = function(_, worker, request, on_result)
          asks[#asks + 1] = { worker = worker, request = request, answer = on_result }
        end,
      },
      nodes = {
        new_id = function() return "node/1" end,
        is_alone = function() return is_alone end,
        begin = function(_, request)
          requests[#requests + 1] = { request = request }
          return function() return outcome end
        end,
        send = function(_, request, _, on_outcome) requests[#requests + 1] = { request = request, answer = on_outcome } end,
      },
    }
  end)

  describe("asks", function()
    it("a worker of this node over the bus", function()
      replies.begin_hand_over = { path = "/ws" }
      assert.are.same({ path = "/ws" }, carriers:ask(HERE, "begin_hand_over", { id = "id" }))
      assert.are.same({ { "anothe", "begin_hand_over", { id = "id" } } }, calls)
      assert.are.same({}, requests)
    end)

    it("a worker of another node over Redis, and waits for 5 s", function()
      outcome.results = { { path = "/ws" } }
      assert.are.same({ path = "/ws" }, carriers:ask(FAR, "begin_hand_over", { id = "id" }))
      local request = requests[1].request
      assert.are.same(
        { "begin_hand_over", "farr", "worker", true, 5, { id = "id" } },
        { request.op, request.to, request.worker, request.waits, request.seconds, request.args }
      )
      outcome.results = {}
      assert.is_nil(carriers:ask(FAR, "begin_hand_over", { id = "id" }))
    end)
  end)

  describe("sends a socket", function()
    local result

    local function send(to)
      result = "none"
      carriers:send(to, { id = "id" }, "bytes", function(answer) result = answer end)
    end

    it("within this node in one message", function()
      send(HERE)
      local ask = asks[1]
      assert.are.same({ "anothe", "take_socket", "bytes" }, { ask.worker, ask.request.op, ask.request.payload })
      ask.answer { ok = true }
      assert.is_true(result)
    end)

    it("to another node through Redis, and announces it", function()
      send(FAR)
      local store = asks[1]
      assert.are.same({ "holder", "put_parcel", "bytes" }, { store.worker, store.request.op, store.request.payload })
      assert.are.same({}, requests)
      store.answer { count = 3 }
      local request = requests[1].request
      assert.are.same({ "take_socket", "farr", "worker" }, { request.op, request.to, request.worker })
      assert.are.same({ id = "id", parcel = store.request.args.name, count = 3 }, request.args)
      assert.are.equal(22, #request.args.parcel)
      requests[1].answer { results = { { ok = true } }, missing = {} }
      assert.is_true(result)
    end)

    it("and announces nothing that Redis does not have", function()
      for _, stored in ipairs { {}, false } do
        send(FAR)
        asks[#asks].answer(stored or nil)
        assert.is_false(result)
      end
      holder = nil
      send(FAR)
      assert.is_false(result)
      assert.are.same({}, requests)
    end)

    it("and asks Redis who has it when that node does not answer", function()
      Places.move("id", FAR)
      for node, has_moved in pairs { farr = true, node = false, [""] = false } do
        replies.settle_parcel = { node = node }
        send(FAR)
        asks[#asks].answer { count = 1 }
        requests[#requests].answer { results = {}, missing = { "farr" } }
        Loop.run(0.1)
        assert.are.equal(has_moved, result, node)
      end
      assert.are.same({ "holder", "settle_parcel", { id = "id", is_receiver = false } }, calls[1])
    end)

    it("and does not keep it when it has come back to another worker", function()
      send(FAR)
      asks[1].answer { count = 1 }
      Places.move("id", HERE)
      replies.settle_parcel = { node = "node" }
      requests[1].answer { results = {}, missing = { "farr" } }
      Loop.run(0.1)
      assert.is_true(result)
      Places.forget "id"
    end)

    it("and keeps it when its worker was killed before it took it", function()
      Places.begin_move("id", "nodeworker", HERE)
      send(HERE)
      asks[1].answer(nil)
      assert.is_false(result)
      Places.begin_move("id", "nodeworker", HERE)
      Places.decide("id", "taken")
      send(HERE)
      asks[2].answer(nil)
      assert.is_true(result)
      Places.forget "id"
    end)
  end)

  describe("gets a socket that another node has stored", function()
    local parcel, is_refused

    local function fetch()
      parcel = "none"
      carriers:fetch({ parcel = "name", count = 2 }, function(...)
        parcel, is_refused = ...
      end)
    end

    it("from Redis, whatever bytes it is", function()
      fetch()
      assert.are.same({ op = "take_parcel", args = { parcel = "name", count = 2 }, payload = "" }, asks[1].request)
      asks[1].answer { base64 = ngx.encode_base64 "\0\255" }
      assert.are.equal("\0\255", parcel)
    end)

    it("or not, when it is gone or there is no link", function()
      fetch()
      asks[1].answer { is_refused = true }
      assert.are.same({ nil, true }, { parcel, is_refused })
      fetch()
      asks[2].answer {}
      assert.are.same({ nil, false }, { parcel, is_refused }, "Redis did not answer")
      fetch()
      asks[3].answer(nil)
      assert.are.same({ nil, false }, { parcel, is_refused })
      holder = nil
      fetch()
      assert.are.same({ nil, false }, { parcel, is_refused })
    end)
  end)

  it("finds out whether another node has a socket of an earlier gateway", function()
    for node, is_elsewhere in pairs { farr = true, former = false, node = false, [""] = false } do
      replies.find_socket = { node = node ~= "" and node or nil }
      assert.are.equal(is_elsewhere, carriers:is_elsewhere("id", "former"), node)
    end
    assert.are.same({ "holder", "find_socket", { id = "id" } }, calls[1])
    replies.find_socket, replies.settle_parcel = {}, { node = "farr" }
    assert.is_true(carriers:is_elsewhere("id", "former"), "it had it, and it has ended there")
    replies.find_socket = nil
    assert.is_false(carriers:is_elsewhere("id", "former"))
    is_alone = true
    assert.is_false(carriers:is_elsewhere("id", "former"))
    assert.are.equal(8, #calls)
  end)

  it("finds other nodes that can take sockets", function()
    local nodes =
      { { id = "node", is_up = true }, { id = "farr", is_up = true }, { id = "away", is_up = true }, { id = "dead" } }
    replies.describe_nodes = { is_ready = true, nodes = nodes }
    assert.are.same({ "farr", "away" }, carriers:others())
    replies.describe_nodes = { is_ready = false, nodes = nodes }
    assert.are.same({}, carriers:others())
    holder = nil
    assert.are.same({}, carriers:others())
  end)

  it("offers a session to another node", function()
    local is_done = false
    carriers:offer("farr", { id = "id", holder = "nodeworker" }, function() is_done = true end)
    local request = requests[1].request
    assert.are.same({ "adopt_session", "farr" }, { request.op, request.to })
    assert.is_nil(request.worker)
    requests[1].answer(outcome)
    assert.is_true(is_done)
  end)

  describe("finds a session by a key", function()
    it("at the node that knows it", function()
      outcome.results = { {}, { id = "id", holder = FAR } }
      assert.are.same({ { id = "id", holder = FAR }, false }, { carriers:find "key" })
      assert.is_true(requests[1].request.is_read)
      assert.are.same({ key = "key" }, requests[1].request.args)
    end)

    it("and does not know when a node did not answer that may know it", function()
      for _, change in ipairs { { is_away = true }, { is_incomplete = true }, { missing = { "farr" } } } do
        outcome = { results = {}, missing = {} }
        for name, value in pairs(change) do
          outcome[name] = value
        end
        assert.are.same({ nil, true }, { carriers:find "key" })
      end
      outcome = { results = {}, missing = {} }
      assert.are.same({ nil, false }, { carriers:find "key" })
    end)

    it("nowhere while this node is alone", function()
      is_alone = true
      assert.is_nil(carriers:find "key")
      assert.are.same({}, requests)
    end)
  end)

  it("claims a nonce, and finds out whether a node had it before", function()
    replies.claim_nonce = { node = "farr" }
    assert.is_true(carriers:claim "nonce")
    assert.are.same({ "holder", "claim_nonce", { nonce = "nonce" } }, calls[1])
    replies.claim_nonce = { node = "node" }
    assert.is_true(carriers:claim "nonce", "its session may have moved on")
    replies.claim_nonce = { node = "" }
    assert.is_false(carriers:claim "nonce")
    replies.claim_nonce = {}
    assert.is_false(carriers:claim "nonce")
    replies.claim_nonce = nil
    assert.is_false(carriers:claim "nonce")
    is_alone = true
    assert.is_false(carriers:claim "nonce")
    assert.are.equal(5, #calls)
  end)
end)
