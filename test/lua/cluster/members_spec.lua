local Stub = require "support.ngx"
require "support.event_loop"
local Dictionary = require "support.dictionary"
local Members = require "framegate.cluster.members"

describe("members", function()
  local dict, configurations, dead

  before_each(function()
    dict, configurations, dead = Dictionary.new(), { [0] = 0 }, {}
    Stub.now = 1000
  end)

  local function master()
    local members = Members.new {
      dict = dict,
      configurations = configurations,
      pid = function() return 0 end,
      is_dead = function(pid) return dead[pid] == true end,
    }
    members:init()
    return members
  end

  -- nginx forks workers from the master that has loaded their configuration.
  local function fork(from, pid)
    local members = setmetatable({ pid = function() return pid end }, { __index = from })
    members:join()
    return members
  end

  local function names(list)
    local found = {}
    for i, item in ipairs(list) do
      found[i] = item.name or item
    end
    return found
  end

  it("know each other in the order in which they joined", function()
    local first = master()
    local a, b = fork(first, 1), fork(first, 2)
    assert.are.same({ b:worker() }, names(a:others()))
    assert.are.same({ a:worker() }, names(b:others()))
    assert.are.equal(a:joined_at() + 1, b:joined_at())
    assert.are.equal(a:node(), b:node())
    assert.are.equal(4, #a:node())
    assert.are.equal(6, #a:worker())
  end)

  it("read the list anew only when the version has changed", function()
    local first = master()
    local a, reads = fork(first, 1), 0
    fork(first, 2)
    local get_keys = dict.get_keys
    dict.get_keys = function(...)
      reads = reads + 1
      return get_keys(...)
    end
    a:others()
    a:others()
    assert.are.equal(1, reads)
    fork(first, 3)
    assert.are.equal(2, #a:others())
    assert.are.equal(2, reads)
  end)

  it("see who is shutting down, and who has gone", function()
    local first = master()
    local a, b = fork(first, 1), fork(first, 2)
    assert.is_false(a:others()[1].is_leaving)
    b:begin_to_leave()
    assert.is_true(b:is_leaving())
    assert.is_true(a:others()[1].is_leaving)
    b:leave()
    assert.are.same({}, a:others())
  end)

  it("are claimed once when they were killed, and the generation rises", function()
    local first = master()
    local a, b, c = fork(first, 1), fork(first, 2), fork(first, 3)
    dead[2] = true
    assert.is_false(a:is_alive(a:others()[1]))
    assert.are.same({ b:worker() }, a:claim_dead())
    assert.are.same({}, c:claim_dead())
    assert.are.same({ c:worker() }, names(a:others()))
    assert.are.equal(2, a:generation())
  end)

  it("bear that a key vanishes between two reads", function()
    local first = master()
    local a = fork(first, 1)
    fork(first, 2)
    local get_keys = dict.get_keys
    dict.get_keys = function(...)
      local keys = get_keys(...)
      dict:delete "worker:2"
      return keys
    end
    assert.are.same({}, a:others())
    assert.are.same({}, a:claim_dead())
  end)

  it("keep to the last configuration when a worker of one before joins late", function()
    local first, second, third = master(), master(), master()
    local old, newest = fork(first, 1), fork(third, 3)
    local late = fork(second, 2)
    assert.are.equal(3, late:times().configuration)
    assert.is_true(newest:is_last_configuration())
    assert.is_false(late:is_last_configuration() or old:is_last_configuration())
    assert.is_false(late:is_successor_due(), "it is there")
  end)

  it("tell a reload from a stop by the configuration that runs", function()
    local old = fork(master(), 1)
    assert.is_true(old:is_last_configuration())
    local new_master = master()
    assert.is_true(old:is_last_configuration(), "loaded, but nobody runs it yet")
    assert.is_true(old:is_successor_due())
    Stub.now = 2000
    fork(new_master, 2)
    assert.is_false(old:is_last_configuration())
    assert.are.same({ started = 1000, loaded = 2000, configuration = 2 }, old:times())
    assert.is_false(old:is_successor_due())
  end)

  it("remember when a life of this node that was buried had its last renewal", function()
    local worker = fork(master(), 1)
    local former = worker:node()
    worker:set_renewed(990)
    worker:begin_anew()
    assert.are_not.equal(former, worker:node())
    assert.are.equal(990, worker:former_renewal(former .. "worker-rest"))
    assert.is_nil(worker:former_renewal(worker:node() .. "worker-rest"))
    assert.is_nil(worker:renewal_age())
  end)
end)
