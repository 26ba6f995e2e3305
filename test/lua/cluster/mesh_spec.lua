local cjson = require "cjson.safe"
local Stub = require "support.ngx"
local Loop = require "support.event_loop"
local Mesh = require "framegate.cluster.mesh"

-- A link of which nobody reads the other end.
local function socket()
  return { settimeouts = function() end }
end

describe("the mesh", function()
  local own, others

  before_each(function()
    Loop.reset()
    Stub.now = 0
    own, others = { joined_at = 5, is_leaving = false, version = 1 }, {}
  end)

  local function mesh()
    local members = {
      worker = function() return "own" end,
      joined_at = function() return own.joined_at end,
      is_leaving = function() return own.is_leaving end,
      version = function() return own.version end,
      others = function() return others end,
      is_alive = function(_, other) return not other.is_dead end,
    }
    return Mesh.new { members = members, port = 1 }
  end

  local function other(name, joined_at, is_leaving)
    return { name = name, joined_at = joined_at, is_leaving = is_leaving or false }
  end

  it("of two workers the younger dials, unless the older is shutting down", function()
    assert.is_true(mesh():should_dial(other("older", 4)))
    assert.is_false(mesh():should_dial(other("younger", 6)))
    assert.is_false(mesh():should_dial(other("older", 4, true)), "it listens no more")
  end)

  it("a worker that is shutting down dials everybody who listens", function()
    own.is_leaving = true
    assert.is_true(mesh():should_dial(other("older", 4)))
    assert.is_true(mesh():should_dial(other("younger", 6)))
    assert.is_false(mesh():should_dial(other("younger", 6, true)))
  end)

  it("admits whom it would not dial, and each once", function()
    local made = mesh()
    assert.is_nil(made:admit(other("older", 4), socket()))
    assert.is_not_nil(made:admit(other("leaving", 4, true), socket()))
    assert.is_not_nil(made:admit(other("younger", 6), socket()))
    assert.is_nil(made:admit(other("younger", 6), socket()), "a second dial of the same")
  end)

  it("ends both links to a worker when the two have dialled each other", function()
    local made = mesh()
    made.events = { on_lost = function() end }
    local function link(name)
      return {
        name = name,
        send = function() end,
        stop = function(self) self.has_ended = true end,
        run = function(self) ngx.sleep(self.seconds) end,
      }
    end
    local first, second = link "other", link "other"
    first.seconds, second.seconds = 1, 100
    Loop.spawn(function() made:serve(first) end)
    Loop.spawn(function() made:serve(second) end)
    Loop.run(0.5)
    assert.are.equal(first, made.links.other, "messages keep to the first, and so their order")
    Loop.run(1)
    assert.are.equal(second, made.links.other)
    made:stop()
    assert.is_true(second.has_ended)
  end)

  it("is complete when all who live are linked, and not after somebody came or went", function()
    local made = mesh()
    others = { other("younger", 6), { name = "killed", joined_at = 7, is_dead = true } }
    made:admit(others[1], socket())
    assert.is_false(made:is_complete(), "nobody has looked")
    made:await_complete()
    assert.is_true(made:is_complete())
    own.version = 2
    assert.is_false(made:is_complete())
    assert.are.same({ linked = 1, missing = 0 }, made:state())
  end)

  it("reaches a worker over a third when both are shutting down, and loses it when it has gone", function()
    local made, lost, relayed = mesh(), {}, {}
    made.events = { on_lost = function(name) lost[#lost + 1] = name end }
    others = { other("older", 4, true), other("serving", 6) }
    made.links.serving = { name = "serving", send = function(_, head, payload) relayed = { head, payload } end }
    made:update_routes()
    assert.is_nil(made.links.older, "it may dial this one, which still listens")
    own.is_leaving = true
    made:update_routes()
    made:send("older", { op = "greet", args = { word = "hi" } }, "frame")
    assert.are.same({
      op = "relay",
      args = { to = "older", from = "own", head = { op = "greet", args = { word = "hi" } } },
    }, cjson.decode(relayed[1]))
    assert.are.equal("frame", relayed[2])
    others = { other("serving", 6) }
    made:update_routes()
    assert.are.same({ "older" }, lost)
    assert.is_nil(made.links.older)
  end)

  it("waits for whoever is missing, but not for ever", function()
    local made = mesh()
    others = { other("younger", 6) }
    local waited
    Loop.spawn(function()
      made:await_complete()
      waited = Stub.now
    end)
    Loop.run(1)
    assert.is_nil(waited)
    Loop.run(10)
    assert.is_near(5, waited, 0.01)
    assert.is_false(made:is_complete())
    assert.are.same({ linked = 0, missing = 1 }, made:state())
  end)
end)
