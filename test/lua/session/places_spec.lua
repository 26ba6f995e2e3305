local Worker = require "support.worker"
local Stub = require "support.ngx"
local Places = require "framegate.session.places"

describe("the places of sessions", function()
  local worker

  before_each(function()
    worker = Worker.new()
    ngx.shared.sessions.capacity = math.huge
    Places.remove_key "any"
  end)

  after_each(function() ngx.shared.sessions.capacity = math.huge end)

  it("know a key for its time, which can be renewed", function()
    assert.is_true(Places.set_key("key", "id", 10))
    Stub.now = 1009
    assert.are.equal("id", Places.of_key "key")
    Places.refresh_key("key", 10)
    Stub.now = 1018
    assert.are.equal("id", Places.of_key "key")
    Stub.now = 1019
    assert.is_nil(Places.of_key "key")
  end)

  it("give a claim to the first, until it is over", function()
    assert.is_true(Places.claim_key("key", "one", 10))
    assert.is_false(Places.claim_key("key", "two", 10))
    assert.are.same({ "one", true }, { Places.of_key "key" })
    Places.release_key("key", "two")
    assert.are.equal("one", Places.of_key "key")
    Places.release_key("key", "one")
    assert.is_nil(Places.of_key "key")
    assert.is_true(Places.claim_key("key", "two", 10))
    Stub.now = 1010
    assert.is_true(Places.claim_key("key", "three", 10))
  end)

  it("keep the key of a session when its claim is given up", function()
    Places.claim_key("key", "id", 10)
    Places.set_key("key", "id", 100)
    Places.release_key("key", "id")
    assert.are.same({ "id" }, { Places.of_key "key" })
    Places.remove_key "key"
    assert.is_nil(Places.of_key "key")
  end)

  it("refuse a key when there is no room, and warn once until there is", function()
    ngx.shared.sessions.capacity = 0
    assert.is_false(Places.set_key("key", "id", 10))
    assert.is_false(Places.set_key("other", "id", 10))
    assert.is_false(Places.claim_key("third", "id", 10))
    assert.are.equal(1, #worker.lines)
    assert.matches("no room", worker.lines[1])
    Places.remove_key "key"
    Places.set_key("key", "id", 10)
    assert.are.equal(2, #worker.lines)
  end)

  it("find a socket in the worker that its id names, or where it has moved to", function()
    local id = "nodeworkerrest"
    assert.are.same({ "node", "worker" }, { Places.of(id) })
    assert.are.equal("nodeworker", Places.holder(id))
    assert.is_true(Places.move(id, "nodeanothe"))
    assert.are.same({ "node", "anothe" }, { Places.of(id) })
    assert.are.equal("nodeanothe", Places.holder(id))
    Places.move(id, "nodeworker")
    assert.are.same({}, ngx.shared.sessions.values)
    Places.move(id, "nodeanothe")
    Places.forget(id)
    assert.are.equal("nodeworker", Places.holder(id))
  end)

  it("know for an hour where a socket has gone, and as long as it lives where a socket of another node is", function()
    Places.move("nodeworkerrest", "thatworker", true)
    Places.move("thatworkerrest", "nodeworker")
    Stub.now = Stub.now + 86401
    assert.are.equal("nodeworker", Places.holder "nodeworkerrest")
    assert.are.equal("nodeworker", Places.holder "thatworkerrest")
    Places.forget "thatworkerrest"
  end)

  it("decide once what becomes of a socket that moves within the node", function()
    assert.are.equal("killed", Places.decide("id", "killed"), "it does not move")
    Places.begin_move("id", "nodeworker", "nodeanothe")
    assert.is_true(Places.is_moving "id")
    assert.are.equal("taken", Places.decide("id", "taken"))
    assert.is_false(Places.is_moving "id")
    assert.are.equal("taken", Places.decide("id", "kept"))
    Places.begin_move("id", "nodeworker", "nodeanothe")
    assert.are.equal("kept", Places.decide("id", "kept"))
    assert.are.equal("kept", Places.decide("id", "killed"))
    Places.forget "id"
    assert.are.same({}, ngx.shared.sessions.values)
  end)

  it("know both sides of a move until that one ends", function()
    assert.is_nil(Places.move_of "id")
    Places.begin_move("id", "farrworker", "nodeworker")
    assert.are.same({ "farrworker", "nodeworker" }, { Places.move_of "id" })
    assert.are.equal("killed", Places.decide("id", "killed"), "it comes from another node")
    assert.is_true(Places.is_moving "id", "only Redis decides about that")
    Places.end_move("id", "nodeworker", "farrworker")
    assert.is_true(Places.is_moving "id", "that was another move")
    Places.end_move("id", "farrworker", "nodeworker")
    assert.is_false(Places.is_moving "id")
    assert.are.same({}, ngx.shared.sessions.values)
  end)

  it("makes the key of a lost socket unknown, once, also without room", function()
    Places.set_key("lost", "nodeworkerx", 60)
    Places.void_key("lost", "nodeworkerx")
    assert.is_nil(Places.of_key "lost")
    Places.set_key("lost", "nodeworkerx", 60)
    Places.void_key("lost", "nodeworkerx")
    assert.are.equal("nodeworkerx", Places.of_key "lost")
    ngx.shared.sessions.capacity = 0
    Places.void_key("lost", "nodeworkery")
    ngx.shared.sessions.capacity = math.huge
    assert.is_nil(Places.of_key "lost")
  end)
end)
