local Worker = require "support.worker"
local Record = require "framegate.socket.record"

describe("a record", function()
  local worker

  before_each(function() worker = Worker.new() end)

  local function connection(changes)
    local facts = { id = "nodeworker-1", opened_at = 12.3456, path = "/ws/a?b", handshake = "host: a\r\ncookie: b\r\n" }
    for name, value in pairs(changes or {}) do
      facts[name] = value
    end
    return facts
  end

  it("gives back what a close event needs", function()
    Record.write(connection { state = "%0A" })
    assert.are.same({
      {
        id = "nodeworker-1",
        opened_at = 12.346,
        state = "%0A",
        path = "/ws/a?b",
        handshake = "host: a\r\ncookie: b\r\n",
      },
    }, Record.of_worker "nodeworker-")
  end)

  it("is found by the names of its node and worker, until it is removed", function()
    Record.write(connection { id = "nodeworker-1" })
    Record.write(connection { id = "nodeworker-2" })
    Record.write(connection { id = "nodeother--3" })
    assert.are.equal(2, #Record.of_worker "nodeworker")
    assert.is_nil(Record.of_worker("nodeother-")[1].state)
    Record.remove { id = "nodeworker-1" }
    assert.are.equal("nodeworker-2", Record.of_worker("nodeworker")[1].id)
  end)

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
end)
