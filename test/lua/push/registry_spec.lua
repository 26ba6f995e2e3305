require "support.ngx"
local Registry = require "framegate.push.registry"

describe("a registry", function()
  local registry

  before_each(function() registry = Registry.new { max_topics = 3 } end)

  local function connect(id)
    local connection = { id = id }
    registry:add(connection)
    return connection
  end

  it("finds connections by id", function()
    local ann = connect "ann"
    assert.are.equal(ann, registry:get "ann")
    assert.are.equal(1, registry:count())
    registry:remove(ann)
    assert.is_nil(registry:get "ann")
    registry:remove(ann)
    assert.are.equal(0, registry:count(), "one that is not there is not counted twice")
  end)

  it("subscribes, up to the most topics that a connection may have", function()
    local ann, bob = connect "ann", connect "bob"
    for _, topic in ipairs { "a", "b", "c", "c" } do
      assert.is_true(registry:subscribe(ann, topic))
    end
    registry:subscribe(bob, "a")
    local ok, err = registry:subscribe(ann, "d")
    assert.is_nil(ok)
    assert.are.equal("a connection may have 3 topics at most (MAX_TOPICS)", err)
    assert.are.same({ a = 2, b = 1, c = 1 }, registry:topic_counts())
    registry:unsubscribe(ann, "b")
    registry:unsubscribe(ann, "never")
    assert.is_nil(registry:topic "b")
    assert.is_true(registry:subscribe(ann, "d"))
  end)

  it("takes a connection out of its topics and of its user", function()
    local ann = connect "ann"
    registry:subscribe(ann, "a")
    registry:subscribe(ann, "b")
    registry:name_user(ann, "Ann")
    registry:remove(ann)
    assert.are.same({}, registry:topic_counts())
    assert.is_nil(registry:user "Ann")
    assert.is_nil(ann.topics)
    assert.are.equal("Ann", ann.user, "a close event may still say whose it was")
  end)

  it("names and renames users", function()
    local ann, phone = connect "ann", connect "phone"
    registry:name_user(ann, "Ann")
    registry:name_user(phone, "Ann")
    assert.are.equal(2, registry:user("Ann").count)
    registry:name_user(phone, "Bob")
    assert.are.equal(1, registry:user("Ann").count)
    registry:name_user(phone, nil)
    assert.is_nil(registry:user "Bob")
  end)

  it("takes as long for each of many topics as for the first", function()
    registry = Registry.new { max_topics = 1e9 }
    local function seconds_for(count)
      local connection = connect("c" .. count)
      local began = os.clock()
      for i = 1, count do
        registry:subscribe(connection, "t" .. i)
      end
      return os.clock() - began
    end
    seconds_for(2000)
    local few, many = seconds_for(2000), seconds_for(40000)
    assert.is_true(many < 20 * (few + 0.001) * 8, ("%.4f s for 2,000, %.4f s for 40,000"):format(few, many))
  end)
end)
