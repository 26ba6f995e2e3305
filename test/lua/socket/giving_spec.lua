local Moves = require "support.moves"
local Loop = require "support.event_loop"
local Worker = require "support.worker"
local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"

describe("giving sessions to other nodes at a stop", function()
  local Giving, worker, carriers

  before_each(function()
    package.loaded["framegate.socket.giving"] = nil
    Giving = require "framegate.socket.giving"
    worker = Moves.worker()
    Config.MAX_DETACHED = 1000
    carriers = worker.carriers
    worker.nodes.is_alone = function() return false end
    carriers.nodes = { "farr", "away" }
    Giving.wire(worker)
  end)

  after_each(function()
    Giving.stop()
    Moves.finish(worker)
  end)

  local function open(is_away)
    local connection, transport = Worker.open_session(worker)
    if is_away then
      Attachment.ended(connection, transport)
    end
    return connection
  end

  -- Other nodes take what is offered to them.
  local function accept_all()
    carriers.offer = function(self, node, args, on_done)
      self.offered[#self.offered + 1] = node
      assert.are.equal("nodeworker", args.holder)
      worker.registry:get(args.id):leave()
      on_done(false)
    end
  end

  it("offers those whose clients are away to the other nodes in turn", function()
    accept_all()
    for _ = 1, 4 do
      open(true)
    end
    Giving.start()
    Loop.run(0.1)
    table.sort(carriers.offered)
    assert.are.same({ "away", "away", "farr", "farr" }, carriers.offered)
    assert.is_nil(next(worker.registry:all()))
  end)

  it("leaves those that have a client, an event in flight, or move, until they have not", function()
    accept_all()
    local plain = Worker.open(worker)
    local attached, busy = open(false), open(true)
    busy:receive("a", true)
    Giving.start()
    Loop.run(1)
    assert.are.same({}, carriers.offered)
    Worker.answer(worker.dispatch.events[1])
    attached:finish()
    Loop.run(0.1)
    assert.are.equal(1, #carriers.offered)
    assert.are.equal("open", plain.phase)
  end)

  it("offers one again that was not taken, to the next node, and not to one that stops", function()
    local connection = open(true)
    Giving.start()
    Loop.run(0.1)
    assert.are.equal(1, #carriers.offered)
    local first = carriers.offered[1]
    first.done(true)
    Loop.run(0.3)
    assert.are.equal(1, #carriers.offered)
    Loop.run(0.3)
    assert.are.equal(2, #carriers.offered)
    assert.are_not.equal(first.node, carriers.offered[2].node)
    carriers.offered[2].done(true)
    Loop.run(2)
    assert.are.equal(2, #carriers.offered, "all nodes stop")
    assert.is_true(Giving.may_leave(connection))
  end)

  it("finds a node that comes meanwhile", function()
    carriers.nodes = {}
    open(true)
    Giving.start()
    Loop.run(0.5)
    carriers.nodes = { "farr" }
    Loop.run(1)
    assert.are.equal(1, #carriers.offered)
  end)

  it("has 64 offers under way at most, and none when the gateway is alone or the time is over", function()
    for _ = 1, 70 do
      open(true)
    end
    Giving.start()
    Loop.run(0.1)
    assert.are.equal(64, #carriers.offered)
    carriers.offered[1].done(false)
    Loop.run(0.1)
    assert.are.equal(65, #carriers.offered)
    Giving.stop()
    carriers.offered[2].done(false)
    Loop.run(1)
    assert.are.equal(65, #carriers.offered)
    worker.nodes.is_alone = function() return true end
    Giving.start()
    Loop.run(1)
    assert.are.equal(65, #carriers.offered)
  end)
end)
