local Stub = require "support.ngx"
local Worker = require "support.worker"
local Orphans = require "framegate.socket.orphans"
local Record = require "framegate.socket.record"

describe("orphans of a worker that was killed", function()
  local worker, dead

  before_each(function()
    worker = Worker.new()
    dead = { "killed" }
    worker.members = {
      node = function() return "node" end,
      claim_dead = function()
        local names = dead
        dead = {}
        return names
      end,
    }
    Orphans.wire(worker)
    for _, id in ipairs { "nodekilled1", "nodekilled2", "nodealive-3" } do
      Record.write { id = id, opened_at = 990.25, state = "s", path = "/ws/chat", handshake = "host: a\r\n" }
    end
    Stub.now = 1000
  end)

  it("get the close events that they are owed, once", function()
    Orphans.scan()
    Orphans.scan()
    local events = worker.dispatch.events
    assert.are.equal(2, #events)
    table.sort(events, function(a, b) return a.id < b.id end)
    local event = events[1]
    assert.are.equal("nodekilled1/close", event.id)
    assert.are.equal("close", event.kind)
    assert.are.equal("s", event.state)
    assert.is_nil(event.number)
    assert.are.same(
      { code = 1006, reason = "the%20worker%20that%20held%20the%20socket%20was%20killed", duration = 9750 },
      event.ended
    )
    assert.is_false(event.connection.options.takes_batches)
    assert.are.equal(1, worker.counted.framegate_workers_killed_total)
    assert.are.same({ ": a worker was killed; close events of its 2 sockets are on their way" }, worker.lines)
  end)

  it("keep their records until they are answered, which may publish", function()
    Orphans.scan()
    local event = worker.dispatch.events[1]
    local id = event.connection.id
    assert.is_truthy(ngx.shared.sockets:get(id))
    Worker.answer(event, {
      body = '{"effects":[{"publish":{"topic":"news","text":"gone"}}]}',
      headers = { ["content-type"] = "application/vnd.framegate.effects+json" },
    })
    assert.is_nil(ngx.shared.sockets:get(id))
    assert.are.same({ { "news", "gone", id } }, worker.push.published)
  end)

  it("of a living worker are none", function()
    dead = {}
    Orphans.scan()
    assert.are.same({}, worker.dispatch.events)
    assert.are.same({}, worker.lines)
  end)
end)
