-- The bus knows drivers only, so here it has one of its own: buses of one process, joined by queues. It loses messages and
-- answers late when a spec wants it to.

local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Bus = require "framegate.cluster.bus"

---@class QueueDriver : BusDriver
local QueueDriver = {}
QueueDriver.__index = QueueDriver

function QueueDriver.new(name)
  return setmetatable({ name = name, reached = {}, delay = 0, complete = true, completing = 0 }, QueueDriver)
end

function QueueDriver.join(a, b)
  a.reached[b.name], b.reached[a.name] = b, a
end

function QueueDriver.part(a, b)
  a.reached[b.name], b.reached[a.name] = nil, nil
  a.events.on_lost(b.name)
  b.events.on_lost(a.name)
end

function QueueDriver:start(events) self.events = events end

function QueueDriver:peers() return self.reached end

function QueueDriver:send(peer, head, payload)
  local other = self.reached[peer]
  if not other or self.loses then
    return other ~= nil
  end
  Loop.spawn(function()
    if self.delay > 0 then
      ngx.sleep(self.delay)
    end
    other.events.on_message(self.name, head, payload)
  end)
  return true
end

function QueueDriver:send_all(head, payload)
  for name in pairs(self.reached) do
    self:send(name, head, payload)
  end
end

function QueueDriver:await_complete()
  if not self.complete then
    ngx.sleep(self.completing)
    self.complete = true
  end
end

function QueueDriver:is_complete() return self.complete end

function QueueDriver:stop() self.has_stopped = true end

describe("a bus", function()
  local heard

  before_each(function()
    Loop.reset()
    Stub.now, heard = 0, {}
  end)

  -- Buses by name, each reached from each by a driver of its own.
  local function buses(...)
    local made = {}
    for _, name in ipairs { ... } do
      local driver = QueueDriver.new(name)
      local operations = {
        greet = function(_, args, payload)
          heard[#heard + 1] = name .. ":" .. args.word .. payload
          return { from = name }
        end,
      }
      local bus = Bus.new { name = name, driver = driver, operations = operations }
      bus:start()
      for _, other in pairs(made) do
        QueueDriver.join(driver, other.driver)
      end
      made[name] = { bus = bus, driver = driver }
    end
    return made
  end

  local function in_thread(run)
    local results
    Loop.spawn(function() results = { run() } end)
    Loop.run(60)
    assert.is_not_nil(results, "it has not returned")
    return unpack(results)
  end

  local function names(results)
    local found = {}
    for _, result in ipairs(results) do
      found[#found + 1] = result.from
    end
    table.sort(found)
    return table.concat(found, " ")
  end

  it("asks everybody, itself among them", function()
    local all = buses("a", "b", "c")
    local results = in_thread(function() return all.a.bus:call_all("greet", { word = "hi" }, "!") end)
    assert.are.equal("a b c", names(results))
    table.sort(heard)
    assert.are.same({ "a:hi!", "b:hi!", "c:hi!" }, heard)
    assert.is_false(all.a.bus:is_busy())
  end)

  it("asks one, or itself", function()
    local all = buses("a", "b")
    assert.are.equal("b", in_thread(function() return all.a.bus:call("b", "greet", { word = "hi" }) end).from)
    assert.are.equal("a", in_thread(function() return all.a.bus:call("a", "greet", { word = "hi" }) end).from)
  end)

  it("goes on without a peer that is lost, or does not know what is asked, at once", function()
    local all = buses("a", "b", "c")
    all.b.driver.loses = true
    Loop.spawn(function()
      ngx.sleep(1)
      QueueDriver.part(all.a.driver, all.b.driver)
    end)
    local results, time = in_thread(function() return all.a.bus:call_all("greet", { word = "hi" }), Stub.now end)
    assert.are.equal("a c", names(results))
    assert.are.equal(1, time)
    local _, err = in_thread(function() return all.a.bus:call("b", "greet", { word = "hi" }) end)
    assert.are.equal("gone", err)
    _, err = in_thread(function() return all.a.bus:call("c", "sing", {}) end)
    assert.are.equal("gone", err)
  end)

  it("does not wait for an answer for longer than 5 s, nor mistake a late one for another", function()
    local all = buses("a", "b")
    all.b.driver.delay = 6
    local _, err, time = in_thread(function()
      local result, err = all.a.bus:call("b", "greet", { word = "slow" })
      return result, err, Stub.now
    end)
    assert.are.equal("timeout", err)
    assert.are.equal(5, time)
    all.b.driver.delay = 0
    local results = in_thread(function()
      local results = all.a.bus:call_all("greet", { word = "quick" })
      ngx.sleep(10)
      return results
    end)
    assert.are.equal("a b", names(results))
  end)

  it("tells everybody in order, also what was told while somebody was not reached yet", function()
    local all = buses("a", "b")
    all.a.driver.complete, all.a.driver.completing = false, 1
    all.a.bus:tell_all("greet", { word = "one" }, "")
    all.a.bus:tell_all("greet", { word = "two" }, "")
    assert.are.same({ "a:one", "a:two" }, heard, "itself at once")
    assert.is_true(all.a.bus:is_busy())
    Loop.run(0.5)
    assert.are.same({ "a:one", "a:two" }, heard)
    Loop.run(1)
    all.a.bus:tell_all("greet", { word = "three" }, "")
    Loop.run(1)
    assert.are.same({ "a:one", "a:two", "b:one", "b:two", "a:three", "b:three" }, heard)
    assert.is_false(all.a.bus:is_busy())
  end)

  it("asks without waiting, and gets results that come later", function()
    local all, replies, results = buses("a", "b"), {}, {}
    all.b.bus.operations.later = function(_, args)
      return function(reply) replies[args.number] = reply end
    end
    local function ask(number)
      local request = { op = "later", args = { number = number }, payload = "" }
      all.a.bus:ask("b", request, function(result) results[number] = result or "lost" end)
    end
    ask(1)
    ask(2)
    ask(3)
    Loop.run(1)
    assert.are.same({}, results)
    replies[2] { is = "second" }
    replies[1] { is = "first" }
    Loop.run(1)
    assert.are.same({ { is = "first" }, { is = "second" } }, results)
    QueueDriver.part(all.a.driver, all.b.driver)
    assert.are.equal("lost", results[3])
    replies[3] { is = "late" }
    Loop.run(1)
    assert.are.equal("lost", results[3])
    ask(4)
    assert.are.equal("lost", results[4], "it cannot be reached")
    assert.are.same({}, all.a.bus.calls.by_number)
  end)

  it("asks all without waiting", function()
    local all = buses("a", "b", "c")
    local answers
    local function ask()
      answers = nil
      local request = { op = "greet", args = { word = "hi" }, payload = "" }
      all.a.bus:ask_all(request, function(results, is_complete) answers = { names(results), is_complete } end)
    end
    ask()
    assert.is_nil(answers)
    Loop.run(1)
    assert.are.same({ "a b c", true }, answers)
    all.a.driver.complete, all.a.driver.completing = false, 1
    ask()
    assert.is_nil(answers)
    Loop.run(0.5)
    assert.is_nil(answers)
    Loop.run(1)
    assert.are.equal("a b c", answers[1])
    assert.are.same({}, all.a.bus.calls.by_number)
    assert.is_false(all.a.bus:is_busy())
  end)
end)
