-- Subscriptions with history in a cluster. The spec answers what is read from Redis.

local Stub = require "support.ngx"
require "support.event_loop"
local Config = require "framegate.config"
local Log = require "framegate.runtime.log"
local SharedFeeds = require "framegate.push.shared_feeds"

describe("a subscription with history in a cluster", function()
  local feeds, asks, sent, is_known, waiting, topics, saved, limited

  before_each(function()
    Stub.now, asks, sent, is_known, waiting, topics = 100, {}, {}, true, {}, {}
    saved, Config.OUTBOX_BYTES = Config.OUTBOX_BYTES, 1000
    limited, Log.limited = Log.limited, function() end
    local worker = {
      groups = {
        when_known = function(_, run)
          if is_known then
            return run()
          end
          waiting[#waiting + 1] = run
        end,
      },
      history = {
        rule_of = function(_, topic) return topic == "t" and { frames = 5, seconds = 60 } or nil end,
        wanted_of = function(_, wanted, max_bytes) return { wanted = wanted, max_bytes = max_bytes } end,
        ask = function(_, _, _, on_done) on_done { epoch = "e", base = 0, top = 0, frames = {} } end,
        ask_all = function(_, topic, wanted, on_done)
          asks[#asks + 1] = { topic = topic, wanted = wanted, on_done = on_done }
        end,
      },
      registry = {
        subscribe = function(_, one, topic)
          if topic == "many" then
            return nil, "too many"
          end
          local is_first = not topics[topic]
          topics[topic], one.topics[topic] = true, true
          if is_first then
            feeds:on_group("topic:" .. topic)
          end
          return true
        end,
        has_group = function(_, group) return topics[group:sub(7)] ~= nil end,
      },
    }
    feeds = SharedFeeds.new(
      worker,
      function() return { delivered = 0, dropped = 0 } end,
      function(_, _, payload) sent[#sent + 1] = payload .. " live" end
    )
  end)

  after_each(function()
    Config.OUTBOX_BYTES, Log.limited = saved, limited
  end)

  local function connection()
    return {
      id = "c",
      topics = {},
      outbox = { bytes = 100 },
      send = function(_, payload) sent[#sent + 1] = payload end,
    }
  end

  local function subscribe(one, wanted)
    local outcome = {}
    wanted.topic = wanted.topic or "t"
    feeds:subscribe(one, wanted, function(ok, err, why)
      outcome.ok, outcome.err, outcome.why = ok, err, why
    end)
    return outcome
  end

  local function arrive(offset, payload)
    feeds:arrive({ topic = "t", place = { epoch = "e", offset = offset }, is_text = true }, payload)
  end

  local function reply(top, ...)
    local frames = {}
    for i, payload in ipairs { ... } do
      frames[i] = { payload = payload, is_text = true }
    end
    table.remove(asks, 1).on_done { epoch = "e", base = 0, top = top, frames = frames }
  end

  it("gets what was read, and then what came meanwhile, without what was read", function()
    local outcome = subscribe(connection(), { last = 2 })
    assert.are.equal(400, asks[1].wanted.max_bytes)
    arrive(1, "one")
    arrive(2, "two")
    assert.is_nil(outcome.ok)
    reply(1, "zero", "one")
    assert.are.equal("zero one two live", table.concat(sent, " "))
    assert.are.same({ ok = true }, outcome)
  end)

  it("is read when Redis has confirmed the topic", function()
    is_known = false
    subscribe(connection(), { last = 1 })
    assert.are.equal(0, #asks)
    for _, run in ipairs(waiting) do
      run()
    end
    assert.are.equal(1, #asks)
  end)

  it("takes turns with another one of the same connection", function()
    local one = connection()
    local first, second = subscribe(one, { last = 1 }), subscribe(one, { last = 1 })
    assert.are.equal(1, #asks)
    reply(0, "a")
    assert.is_true(first.ok)
    reply(0, "a")
    assert.is_true(second.ok)
    assert.are.equal("a a", table.concat(sent, " "))
  end)

  it("gets the last frames, nothing, or a refusal, when not all can be given", function()
    local function gone() table.remove(asks, 1).on_done { epoch = "e", base = 0, top = 3 } end
    local outcome = subscribe(connection(), { after = "x" })
    gone()
    assert.are.equal("gone", outcome.why)
    outcome = subscribe(connection(), { after = "x", otherwise = "none" })
    gone()
    assert.is_nil(outcome.why)
    outcome = subscribe(connection(), { after = "x", otherwise = "last" })
    gone()
    assert.are.equal(5, asks[1].wanted.wanted.last)
    reply(3, "a")
    assert.are.same({ ok = true }, outcome)
  end)

  it("is refused while Redis is away, and what came is delivered", function()
    local outcome = subscribe(connection(), { last = 1 })
    arrive(1, "one")
    table.remove(asks, 1).on_done(nil)
    assert.are.same({ ok = true, why = "unreachable" }, outcome)
    assert.are.equal("one live", table.concat(sent, " "))
  end)

  it("gets nothing when it has ended before Redis answers, although others still have the topic", function()
    local one = connection()
    subscribe(connection(), { last = 1 })
    local outcome = subscribe(one, { last = 1 })
    arrive(1, "one")
    one.topics.t = nil
    arrive(2, "two")
    reply(2, "for the other")
    reply(2, "zero")
    assert.are.equal("for the other", table.concat(sent, " "))
    assert.are.same({ ok = true }, outcome)
    one.topics.t = true
    subscribe(one, { last = 1 })
    reply(2, "again")
    assert.are.equal("for the other again", table.concat(sent, " "))
  end)

  it("is refused at MAX_TOPICS, and gets no frames of a topic that is not kept", function()
    assert.are.equal("too many", subscribe(connection(), { topic = "many", last = 1 }).err)
    assert.are.same({ ok = true }, subscribe(connection(), { topic = "other", last = 1 }))
    assert.are.equal("gone", subscribe(connection(), { topic = "other", after = "x" }).why)
  end)

  it("knows the position of the last frame", function()
    local one = connection()
    subscribe(one, { last = 1 })
    reply(4)
    assert.are.equal("e.4", feeds:position_of(one, "t"))
    assert.is_nil(feeds:position_of(one, "other"))
    subscribe(one, { after = "e.2" })
    assert.are.equal("e.2", feeds:position_of(one, "t"))
  end)
end)
