local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"
local Config = require "framegate.config"
local File = require "framegate.runtime.file"
local Journal = require "framegate.socket.journal"
local Orphans = require "framegate.socket.orphans"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"
local RecordText = require "framegate.socket.record_text"

describe("orphans", function()
  local worker, dead, names

  before_each(function()
    worker = Worker.new()
    Loop.reset()
    dead = {}
    worker.members = {
      node = function() return "node" end,
      is_leaving = function() return false end,
      claim_dead = function()
        local claimed = dead
        dead = {}
        return claimed
      end,
    }
    worker.carriers = { is_elsewhere = function(_, id) return id == "gonekilled4" end }
    Orphans.wire(worker)
    Config.run = os.tmpname()
    os.remove(Config.run)
    os.execute("mkdir -p " .. Config.run .. "/journal")
    names = File.names
  end)

  after_each(function()
    File.names = names
    os.execute("rm -r " .. Config.run)
  end)

  local function record(id, changes)
    local facts = {
      id = id,
      traffic = { opened = 500.5 },
      began_at = function() return 990.25 end,
      state = "s",
      path = "/ws/chat",
      handshake = "host: a\r\n",
      options = {},
    }
    for name, value in pairs(changes or {}) do
      facts[name] = value
    end
    return facts
  end

  -- The journal that a worker left.
  local function left(holder, texts)
    local journal = assert(Journal.create(Record.journal_path(holder)))
    for id, text in pairs(texts) do
      journal:add(id, text)
    end
    journal.file:close()
  end

  local function scan(seconds)
    Loop.spawn(Orphans.scan)
    Loop.run(seconds or 1)
  end

  local function events()
    local all = {}
    for i, event in ipairs(worker.dispatch.events) do
      all[i] = event
    end
    table.sort(all, function(a, b) return a.id < b.id end)
    return all
  end

  local function answer_all(answer)
    local all = events()
    worker.dispatch.events = {}
    for _, event in ipairs(all) do
      Worker.answer(event, answer)
    end
    return all
  end

  local function journals()
    local found = {}
    for _, name in ipairs(File.names(Config.run .. "/journal")) do
      found[#found + 1] = name:find("^%w") and name or nil
    end
    return found
  end

  describe("of a worker that was killed", function()
    before_each(function()
      for _, id in ipairs { "nodekilled1", "nodekilled2", "nodealive-3" } do
        Record.write(record(id))
      end
      dead = { "killed" }
    end)

    it("get the close events that they are owed, once", function()
      scan()
      scan()
      local all = events()
      assert.are.equal(2, #all)
      local event = all[1]
      assert.are.equal("nodekilled1/close", event.id)
      assert.are.equal("close", event.kind)
      assert.are.equal("s", event.state)
      assert.is_nil(event.number)
      assert.is_nil(event.connection.source)
      assert.are.same(
        { code = 1006, reason = "the%20worker%20that%20held%20the%20socket%20was%20killed", duration = 9750 },
        { code = event.ended.code, reason = event.ended.reason, duration = math.floor(event.ended.duration / 10) * 10 }
      )
      assert.is_false(event.connection.options.takes_batches)
      assert.are.equal(1, worker.counted.framegate_workers_killed_total)
      assert.are.same({ ": a worker was killed; close events of its 2 sockets are on their way" }, worker.lines)
      answer_all()
    end)

    it("keep their records until they are answered, which may publish", function()
      scan()
      local event = events()[1]
      local id = event.connection.id
      assert.is_truthy(ngx.shared.sockets:get(id))
      answer_all {
        body = '{"effects":[{"publish":{"topic":"news","text":"gone"}}]}',
        headers = { ["content-type"] = "application/vnd.framegate.effects+json" },
      }
      assert.is_nil(ngx.shared.sockets:get(id))
      assert.are.same({ "news", "gone", id }, worker.push.published[1])
    end)

    it("have the state of shared memory, and their journal goes with the last answer", function()
      left("nodekilled", { ["nodekilled1"] = "500.5 990.25\nold\n/ws/chat\n" })
      scan()
      assert.are.same({ "nodekilled" }, journals())
      local all = answer_all()
      assert.are.same({ "s", "s" }, { all[1].state, all[2].state })
      assert.are.same({}, journals())
    end)
  end)

  describe("that were moving when a worker was killed", function()
    local settled

    before_each(function()
      settled = {}
      worker.carriers = {
        settle = function(_, id, is_receiver)
          settled[#settled + 1] = { id, is_receiver }
          return settled.node
        end,
      }
      Orphans.wire(worker)
      Record.write(record "nodekilled1")
      dead = { "killed" }
    end)

    after_each(function() Places.forget "nodekilled1" end)

    local function assert_owed(is_owed)
      scan()
      assert.are.equal(is_owed and 1 or 0, #events())
      assert.is_false(Places.is_moving "nodekilled1")
      answer_all()
    end

    it("to another node are owed one unless that has taken them", function()
      for _, node in ipairs { "node", "farr", "none" } do
        dead, settled.node = { "killed" }, node ~= "none" and node or nil
        Record.write(record "nodekilled1")
        Places.begin_move("nodekilled1", "nodekilled", "farrworker")
        Places.move("nodekilled1", "farrworker", true)
        assert_owed(node ~= "farr")
        assert.is_nil(ngx.shared.sockets:get "nodekilled1")
      end
      assert.are.same({ "nodekilled1", false }, settled[1])
    end)

    it("from another node are owed one if they have come", function()
      for _, node in ipairs { "node", "farr" } do
        dead, settled.node = { "killed" }, node
        Record.expect("nodekilled1", RecordText.writer({}, {})(record "nodekilled1"))
        Places.begin_move("nodekilled1", "farrworker", "nodekilled")
        Places.move("nodekilled1", "nodekilled")
        assert_owed(node == "node")
        assert.is_nil(ngx.shared.sockets:get "nodekilled1")
      end
      assert.are.same({ "nodekilled1", true }, settled[1])
      assert.are.equal("farrworker", Places.holder "nodekilled1")
    end)

    it("within the node are owed one unless the other worker has them", function()
      Places.begin_move("nodekilled1", "nodekilled", "nodeanothe")
      Places.move("nodekilled1", "nodeanothe")
      scan()
      assert.are.same({}, events(), "the other worker gives it back, and then finds that its worker was killed")
      dead = { "anothe" }
      assert_owed(true)
      assert.are.same({}, settled)
    end)

    it("and were kept by their worker are owed one when that is killed later", function()
      Places.begin_move("nodekilled1", "nodekilled", "nodeanothe")
      Places.decide("nodekilled1", "kept")
      assert_owed(true)
    end)
  end)

  it("of a living worker are none", function()
    Record.write(record "nodealive-3")
    local journal = assert(Journal.create(Record.journal_path "nodealive-"))
    journal:add("nodealive-3", "500.5 990.25\n\n/ws/chat\n")
    scan()
    scan()
    assert.are.same({}, worker.dispatch.events)
    assert.are.same({}, worker.lines)
  end)

  describe("of an earlier gateway", function()
    before_each(function()
      left("gonekilled", {
        ["gonekilled1"] = "500.5 990.25\ns\n/ws/chat\nhost: a\r\n",
        ["gonekilled2"] = "500.5 990.25 1.5 4001 a%20b\n\n/ws/chat\n",
        ["gonekilled3"] = "not a record",
        ["gonekilled4"] = "500.5 990.25\n\n/ws/chat\n", -- another node has it
      })
    end)

    it("get their close events with the source of that gateway, and the end that was noted", function()
      scan()
      local all = answer_all()
      assert.are.equal(2, #all)
      assert.are.equal("gonekilled1/close", all[1].id)
      assert.are.equal(1006, all[1].ended.code)
      assert.are.equal("the%20gateway%20that%20held%20the%20socket%20was%20killed", all[1].ended.reason)
      assert.is_true(all[1].ended.duration > 1e9) -- to the time of the file
      assert.are.same({ code = 4001, reason = "a%20b", duration = 1500 }, all[2].ended)
      assert.are.same({}, journals())
      assert.are.same({ ": close events of 4 sockets of an earlier gateway or worker are on their way" }, worker.lines)
    end)

    it("are sent again until the handler has answered, later and later", function()
      scan()
      local sent = {}
      for _ = 1, 60 do
        for _, event in ipairs(answer_all { failure = "unavailable", error = { message = "away" } }) do
          sent[#sent + 1] = event.id
        end
        Loop.run(1)
      end
      assert.is_true(#sent > 10 and #sent < 20, #sent .. " attempts in a minute")
      assert.are.same({ "gonekilled" }, journals())
      Loop.run(10)
      answer_all()
      Loop.run(10)
      answer_all()
      assert.are.same({}, journals())
    end)

    it("whose journal is damaged are not all found, and a line says so", function()
      local path = Record.journal_path "gonekilled"
      local file = assert(io.open(path, "r+"))
      file:seek("set", 60)
      file:write "\255\255"
      file:close()
      scan()
      answer_all()
      assert.are.equal(
        ": the journal gonekilled is damaged in 1 place(s): sockets recorded there get no close event",
        worker.lines[1]
      )
      assert.are.same({}, journals())
    end)
  end)

  it("are sent at most 500 in a second", function()
    local texts = {}
    for i = 1, 1300 do
      texts["manykilled" .. i] = "500.5 990.25\n\n/ws/chat\n"
    end
    left("manykilled", texts)
    Loop.spawn(Orphans.scan)
    local sent = 0
    for second = 1, 6 do
      local before = sent
      for _ = 1, 20 do
        Loop.run(0.05)
        sent = sent + #answer_all()
      end
      assert.is_true(sent - before <= 500, second .. ": " .. sent - before)
    end
    assert.are.equal(1300, sent)
    assert.is_true(Stub.now > 1003)
  end)
end)
