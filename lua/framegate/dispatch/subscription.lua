-- Reads what an answer subscribes to: topics, and how much of their history the socket gets first.
-- A header has `chat:1;last=50, news;after=<position>;else=last`, a document {"topic":"chat:1","last":50}.

local cjson = require "cjson.safe"
local Border = require "framegate.dispatch.border"
local Percent = require "framegate.protocol.percent"
local TopicName = require "framegate.protocol.topic_name"

local Subscription = {}

local PARAMETERS = { last = true, after = true, ["else"] = true }
local OTHERWISE = { last = true, none = true }

local function check(wanted)
  if not TopicName.is_valid(wanted.topic) then
    return nil, "a topic is " .. TopicName.RULE
  end
  local last, after, otherwise = wanted.last, wanted.after, wanted["else"]
  if last ~= nil and (type(last) ~= "number" or last < 1 or last % 1 ~= 0) then
    return nil, "last is a whole number from 1"
  elseif after ~= nil and type(after) ~= "string" then
    return nil, "after is a position"
  elseif otherwise ~= nil and not (OTHERWISE[otherwise] and after) then
    return nil, 'else is "last" or "none", beside after'
  end
  return { topic = wanted.topic, last = last, after = after, otherwise = otherwise }
end

-- Splits `topic;name=value;…`, all percent-encoded.
local function parse(item)
  local wanted = { topic = Percent.decode(item:match("^[^;]*")) }
  for parameter in item:gmatch(";([^;]*)") do
    local name, value = parameter:match("^(%l+)=(.+)$")
    if not name or not PARAMETERS[name] then
      return nil, "behind a topic come last=, after= or else=; a semicolon in its name is %3B"
    end
    value = Percent.decode(value)
    wanted[name] = name == "last" and (tonumber(value) or value) or value
  end
  return wanted
end

local function of_object(entry)
  if type(entry) ~= "table" then
    return { topic = entry }
  end
  local wanted = {}
  for name, value in pairs(entry) do
    if name ~= "topic" and not PARAMETERS[name] then
      return nil, "a subscription has topic, last, after and else"
    end
    wanted[name] = value ~= cjson.null and value or nil
  end
  return wanted
end

-- Collects what is asked for: topics alone, and those with history.
local function collect(items, read)
  local effect, histories = { kind = "subscribe", topics = {} }, {}
  for _, item in ipairs(items) do
    local given, err = read(item)
    local wanted
    if given then
      wanted, err = check(given)
    end
    if not wanted then
      return nil, err
    end
    local has_history = wanted.last or wanted.after
    local list = has_history and histories or effect.topics
    list[#list + 1] = has_history and wanted or wanted.topic
  end
  effect.histories = histories[1] and histories
  return effect
end

-- Where the close of an answer is, or would be.
local function place_of_close(effects)
  for i, effect in ipairs(effects) do
    if effect.kind == "close" then
      return i
    end
  end
  return #effects + 1
end

local function without(follows, topics)
  local is_ended, rest = {}, {}
  for _, topic in ipairs(topics) do
    is_ended[topic] = true
  end
  for _, follow in ipairs(follows) do
    rest[#rest + 1] = not is_ended[follow.wanted.topic] and follow or nil
  end
  return rest
end

--- Moves subscriptions with history behind all frames of an answer and before its close, each as an effect of its own:
--- {kind = "follow", wanted}. One that the answer ends again further on is left out.
---@param effects table[]
---@return table[] effects
function Subscription.put_last(effects)
  local follows = {}
  for _, effect in ipairs(effects) do
    for _, wanted in ipairs(effect.histories or {}) do
      follows[#follows + 1] = { kind = "follow", wanted = wanted }
    end
    follows = effect.kind == "unsubscribe" and without(follows, effect.topics) or follows
    effect.histories = nil
  end
  local place = place_of_close(effects)
  for i, follow in ipairs(follows) do
    table.insert(effects, place + i - 1, follow)
  end
  return effects
end

--- Reads the header ws-subscribe.
---@param value string
---@return { kind: "subscribe", topics: string[], histories: Wanted[]? }? effect
---@return string? err
function Subscription.of_header(value)
  local items = {}
  for item in value:gsub("%s*;%s*", ";"):gmatch("[^,%s]+") do
    items[#items + 1] = item
  end
  return collect(items, parse)
end

--- Reads the query of a request that subscribes a connection.
---@param topic string
---@param query table<string, string> with `last`, `after` and `else`
---@return Wanted? wanted
---@return string? err
function Subscription.of_query(topic, query)
  local last = query.last
  return check {
    topic = topic,
    last = last and (last:match("^%d+$") and tonumber(last) or last),
    after = query.after,
    ["else"] = query["else"],
  }
end

--- Reads the list of a document.
---@param list any names, and objects with `topic`, `last`, `after` and `else`
---@return { kind: "subscribe", topics: string[], histories: Wanted[]? }? effect
---@return string? err
function Subscription.of_list(list)
  if not Border.is_list(list) then
    return nil, "subscribe takes a list of topics"
  end
  return collect(list, of_object)
end

return Subscription
