local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Groups = require "framegate.cluster.groups"

describe("the groups of a worker", function()
  local groups, holders, present, reports, answers, done, is_clustered

  before_each(function()
    Loop.reset()
    Stub.now, holders, present, reports, answers, done, is_clustered = 0, { "h1" }, {}, {}, {}, 0, true
    groups = Groups.new {
      own = "me",
      now = function() return Stub.now end,
      holders = {
        is_clustered = function() return is_clustered end,
        all = function() return { unpack(holders) } end,
      },
      bus = {
        call = function(_, holder, op, args)
          reports[#reports + 1] = { holder = holder, op = op, change = args.change, worker = args.worker }
          ngx.sleep(0.01)
          local answer = answers[holder]
          if answer == "never" then
            ngx.sleep(5)
            return nil, "timeout"
          end
          return answer ~= "gone" and { ok = true } or nil
        end,
      },
      has = function(group) return present[group] == true end,
      all = function()
        local all = {}
        for group in pairs(present) do
          all[#all + 1] = group
        end
        table.sort(all)
        return all
      end,
    }
  end)

  local function come(group)
    present[group] = true
    groups:change(group)
  end

  local function go(group)
    present[group] = nil
    groups:change(group)
  end

  local function note() done = done + 1 end

  it("are reported to a new holder, and then what changes, in batches", function()
    come "topic:a"
    Loop.run(1)
    assert.are.same({ is_all = true, add = { "topic:a" }, remove = {} }, reports[1].change)
    assert.are.same({ "h1", "change_groups", "me" }, { reports[1].holder, reports[1].op, reports[1].worker })
    come "topic:b"
    come "topic:c"
    go "topic:a"
    come "topic:d"
    go "topic:d"
    Loop.run(1)
    assert.are.equal(2, #reports)
    table.sort(reports[2].change.add)
    table.sort(reports[2].change.remove)
    assert.are.same({ add = { "topic:b", "topic:c" }, remove = { "topic:a", "topic:d" } }, reports[2].change)
    Loop.run(100)
    assert.are.equal(2, #reports)
  end)

  it("keep nobody waiting because another one's continuation fails", function()
    local Log = require "framegate.runtime.log"
    local log, logged = Log.error, nil
    Log.error = function(_, ...) logged = table.concat { ... } end
    come "topic:a"
    groups:when_known(function() error "broken" end)
    groups:when_known(note)
    Loop.run(1)
    Log.error = log
    assert.are.equal(1, done)
    assert.is_truthy(logged:find("broken", 1, true))
  end)

  it("are known when every holder has confirmed them", function()
    holders = { "h1", "h2" }
    assert.is_true(groups:is_known())
    groups:when_known(note)
    assert.are.equal(1, done)
    come "topic:a"
    assert.is_false(groups:is_known())
    groups:when_known(note)
    Loop.run(0.015)
    assert.are.equal(1, done)
    come "topic:b"
    groups:when_known(note)
    Loop.run(0.01)
    assert.are.equal(2, done, "the second change is not reported yet")
    Loop.run(1)
    assert.are.equal(3, done)
    assert.is_true(groups:is_known())
    assert.are.same({}, groups.waiting)
  end)

  it("are reported as a whole again when a holder asks, also in the middle of a report", function()
    come "topic:a"
    Loop.run(0.005)
    groups:tell "h1"
    Loop.run(1)
    assert.are.equal(2, #reports)
    assert.is_true(reports[2].change.is_all)
    holders = { "h2" }
    groups:tell "h2"
    Loop.run(1)
    assert.are.same({ "h2", true }, { reports[3].holder, reports[3].change.is_all })
    assert.are.same({ h2 = true }, groups.known, "former holders are forgotten")
  end)

  it("are tried again while a holder cannot be reached", function()
    answers.h1 = "gone"
    come "topic:a"
    groups:when_known(note)
    Loop.run(1)
    assert.are.equal(0, done)
    assert.is_true(#reports > 5)
    holders, answers = { "h2" }, {}
    Loop.run(1)
    assert.are.equal(1, done)
  end)

  it("are waited for a few seconds only, and the waits leave nothing", function()
    answers.h1 = "never"
    come "topic:a"
    for _ = 1, 100 do
      groups:when_known(note)
    end
    Loop.run(6)
    assert.are.equal(100, done)
    assert.are.same({}, groups.waiting)
    local time
    come "topic:b"
    Loop.spawn(function()
      local began = Stub.now
      groups:await()
      time = Stub.now - began
    end)
    Loop.run(3)
    assert.are.equal(2, time)
    groups:stop()
    Loop.run(20)
  end)

  it("are waited for by nobody without a holder, and without a cluster", function()
    holders = {}
    come "topic:a"
    groups:when_known(note)
    Loop.run(1)
    assert.are.equal(1, done)
    holders, answers.h1 = { "h1" }, "gone"
    come "topic:b"
    groups:when_known(note)
    Loop.run(0.1)
    is_clustered = false
    Loop.run(1)
    assert.are.equal(2, done)
    local before = #reports
    come "topic:c"
    assert.is_true(groups:is_known())
    Loop.run(1)
    assert.are.equal(before, #reports)
  end)
end)
