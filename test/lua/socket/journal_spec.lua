local Stub = require "support.ngx"
local Worker = require "support.worker"
local Loop = require "support.event_loop"
local File = require "framegate.runtime.file"
local Journal = require "framegate.socket.journal"

describe("a journal", function()
  local worker, path

  before_each(function()
    worker = Worker.new()
    path = os.tmpname()
    os.remove(path)
    Loop.reset()
  end)

  after_each(function() os.remove(path) end)

  local function exists()
    local file = io.open(path)
    return file and file:close() or false
  end

  local function load(journal)
    local texts, damaged, died
    Loop.spawn(function()
      texts, damaged, died = journal:load()
    end)
    Loop.run(10)
    return texts, damaged, died
  end

  -- The journal of a worker that was killed with this in it.
  local function left(fill)
    local journal = assert(Journal.create(path))
    fill(journal)
    journal.file:close()
    return assert(Journal.adopt(path))
  end

  it("gives back the last record of each socket that has no end", function()
    local journal = left(function(journal)
      journal:add("a", "first")
      journal:add("b", "other")
      journal:replace("a", "last")
      journal:remove "b"
      journal:add("c", "\n\n")
    end)
    assert.are.same({ a = "last", c = "\n\n" }, (load(journal)))
    assert.are.equal(2, journal.owed)
  end)

  it("is in use while its worker lives", function()
    local journal = assert(Journal.create(path))
    assert.are.same({ nil, "in use" }, { Journal.adopt(path) })
    journal:add("a", "text")
    journal:close()
    assert.is_truthy(Journal.adopt(path))
  end)

  it("is removed by its worker when nothing is owed", function()
    local journal = assert(Journal.create(path))
    journal:add("a", "text")
    journal:remove "a"
    assert.is_truthy(exists())
    journal:close()
    journal:add("late", "text")
    journal:touch()
    assert.is_false(exists())
  end)

  it("that was adopted is removed with the last end, and names the same time of death until then", function()
    local adopted = left(function(journal) journal:add("a", "text") end)
    local _, _, died = load(adopted)
    adopted.file:close()
    adopted = assert(Journal.adopt(path))
    local texts, damaged, again = load(adopted)
    assert.are.same({ { a = "text" }, 0 }, { texts, damaged })
    assert.is_true(math.abs(died - again) < 0.001)
    assert.is_true(math.abs(os.time() - died) < 60)
    adopted:remove "a"
    assert.is_false(exists())
  end)

  it("is compacted when most of it is outdated, while it is written", function()
    local journal = assert(Journal.create(path))
    local text = ("x"):rep(1000)
    journal:add("stays", "first")
    journal:replace("stays", "last")
    for i = 1, 1100 do
      journal:add("id" .. i, text)
      journal:remove("id" .. i)
    end
    local before = journal.file.size
    assert.is_true(before > 1024 * 1024)
    Loop.spawn(function()
      ngx.sleep(0.002) -- in the middle of it
      journal:add("new", "text")
      journal:replace("stays", "at last")
    end)
    Loop.run(10)
    assert.is_true(journal.file.size < 1000)
    assert.are.equal(2, journal.owed)
    assert.are.same({ nil, "in use" }, { Journal.adopt(path) })
    journal.file:close()
    assert.are.same({ stays = "at last", new = "text" }, (load(assert(Journal.adopt(path)))))
    assert.are.same({}, worker.lines)
  end)

  it("is not compacted for sockets that are all open", function()
    local journal = assert(Journal.create(path))
    for i = 1, 1100 do
      journal:add("id" .. i, ("x"):rep(1000))
    end
    local before = journal.file.size
    Loop.run(10)
    assert.are.equal(before, journal.file.size)
  end)

  it("on a full disk warns once, until there is room", function()
    local journal = assert(Journal.create(path))
    local append = journal.file.append
    journal.file.append = function() return nil, "No space left on device" end
    journal:add("a", "text")
    journal:add("b", "text")
    local line = ": the journal cannot be written, no close events will follow if the gateway is killed: "
    assert.are.same({ line .. "No space left on device" }, worker.lines)
    journal.file.append = append
    journal:add("c", "text")
    assert.are.equal(1, #worker.lines)
    journal.file:close()
    assert.are.same({ c = "text" }, (load(assert(Journal.adopt(path)))))
  end)

  it("that cannot be made smaller stays as it is, with a warning", function()
    local journal = assert(Journal.create(path))
    local create = File.create
    File.create = function() return nil, "No space left on device" end
    for i = 1, 1100 do
      journal:add("id" .. i, ("x"):rep(1000))
      journal:remove("id" .. i)
    end
    local before = journal.file.size
    Loop.run(10)
    File.create = create
    assert.are.equal(before, journal.file.size)
    assert.are.same({ ": the journal cannot be made smaller: No space left on device" }, worker.lines)
    assert.is_true(Stub.now >= 1000)
  end)
end)
