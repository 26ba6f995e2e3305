-- The histories of topics in a cluster: in Redis, for all nodes (cluster/stream_store.lua). It has the functions of history.lua
-- that others need; reading waits for Redis.

local HistoryBlocks = require "framegate.push.history_blocks"
local KeptTopics = require "framegate.push.kept_topics"
local PagedRead = require "framegate.push.paged_read"
local Position = require "framegate.push.position"
local semaphore = require "ngx.semaphore"

---@class SharedHistory
---@field is_shared true
local SharedHistory = {}
SharedHistory.__index = SharedHistory

-- For which a repeat of a request is recognized: longer than it can be under way, and as long as an idempotency-key is good.
local REPEAT_MS, KEY_MS = 15000, 60000
local READ_SECONDS = 30 -- for all pages

---@param parts { rules: HistoryRule[], nodes: Nodes, wait: number } `wait`: seconds for Redis
---@return SharedHistory
function SharedHistory.new(parts)
  return setmetatable({
    is_shared = true,
    rules = parts.rules,
    nodes = parts.nodes,
    wait = parts.wait,
  }, SharedHistory)
end

--- How much of a topic is kept.
---@param topic string
---@return HistoryRule? rule nil when it is not kept
function SharedHistory:rule_of(topic) return KeptTopics.rule_of(self.rules, topic) end

--- Stores nothing in this node: a frame that comes here is too long, or this gateway has left its cluster.
---@return nil
function SharedHistory.keep() return nil end

--- Whether Redis stores a frame, and every node gets it from there.
---@param topic string
---@param payload string
---@return boolean
function SharedHistory:takes(topic, payload)
  return #payload <= HistoryBlocks.MAX_PAYLOAD and self:rule_of(topic) ~= nil and not self.nodes:is_alone()
end

local function bounds_of(self, topic)
  local rule = self:rule_of(topic)
  return { topic = topic, frames = rule.frames, ms = math.floor(rule.seconds * 1000) }
end

--- What a request carries that publishes a frame (NodeRequest).
---@param args { topic: string, is_text: boolean, except: string?, replace: string? }
---@param has_key boolean whether its id is an idempotency-key
---@return { bounds: StreamBounds, frame: StreamFrame }
function SharedHistory:publication(args, has_key)
  return {
    bounds = bounds_of(self, args.topic),
    frame = {
      is_text = args.is_text,
      except = args.except,
      replace = args.replace,
      ttl = has_key and KEY_MS or REPEAT_MS,
    },
  }
end

local function request_of(self, topic, wanted)
  return {
    id = self.nodes:new_id(),
    op = "read_history",
    args = {},
    stream = { bounds = bounds_of(self, topic), wanted = wanted },
    waits = true,
    is_read = true,
    seconds = self.wait,
  }
end

--- What Redis is asked for when a subscription or a list asks for frames.
---@param wanted Wanted
---@param max_bytes number
---@return StreamWanted
function SharedHistory.wanted_of(_, wanted, max_bytes)
  max_bytes = math.max(math.floor(max_bytes), 0)
  if not wanted.after then
    return { mode = "last", from = wanted.last, max_bytes = max_bytes }
  end
  local place = Position.decode(wanted.after)
  local is_ours = place and not place.id
  return {
    mode = "after",
    from = is_ours and place.offset or 0,
    epoch = is_ours and place.epoch or "",
    max_bytes = max_bytes,
  }
end

--- Reads a page of frames of a topic. Does not yield.
---@param topic string that is kept
---@param wanted StreamWanted
---@param on_done fun(reply: StreamReply?) nil while Redis is away; must not yield
function SharedHistory:ask(topic, wanted, on_done)
  self.nodes:send(request_of(self, topic, wanted), "", function(outcome) on_done(outcome.stream) end)
end

--- Reads all frames that are wanted, page by page. Does not yield.
---@param topic string that is kept
---@param wanted StreamWanted
---@param on_done fun(reply: StreamReply?) `frames`: all, the oldest first; nil while Redis is away; must not yield
function SharedHistory:ask_all(topic, wanted, on_done)
  PagedRead.new(wanted, function(...) self:ask(topic, ...) end, on_done):go_on()
end

--- Reads frames, the oldest first. Waits for Redis.
---@param topic string that is kept
---@param wanted { last: integer?, after: string? } how many, or everything behind a position
---@param limits { max_bytes: integer }
---@return KeptFrame[]? frames with `offset`; nil when what is behind the position cannot be given whole, or Redis is away
---@return string? position of the end; nil while Redis is away
---@return string? epoch for `position`
function SharedHistory:read(topic, wanted, limits)
  local is_known, reply, known = false, nil, nil
  self:ask_all(topic, self:wanted_of(wanted, limits.max_bytes), function(value)
    is_known, reply = true, value
    if known then
      known:post()
    end
  end)
  if not is_known then
    known = semaphore.new()
    known:wait(READ_SECONDS)
  end
  if not reply then
    return nil
  end
  return reply.frames, self:position(reply.epoch, reply.top), reply.epoch
end

--- The position of a frame.
---@param epoch string
---@param offset integer
---@return string
function SharedHistory.position(_, epoch, offset) return Position.encode { epoch = epoch, offset = offset } end

return SharedHistory
