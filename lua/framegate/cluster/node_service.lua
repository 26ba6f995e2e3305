-- Runs what other nodes request of this one, and answers. In the worker that holds the link.
-- Answers of one turn of the event loop to the same node go out as one message.

local cjson = require "cjson.safe"
local LastItems = require "framegate.cluster.last_items"
local Log = require "framegate.runtime.log"
local Message = require "framegate.cluster.message"

---@class NodeService
local NodeService = {}
NodeService.__index = NodeService

---@param parts { own: string, link: RedisLink, channels: Channels, bus: Bus, seen: Seen, on_answer: fun() }
--- `on_answer` is called when an answer waits; `flush` sends it
---@return NodeService
function NodeService.new(parts)
  return setmetatable({
    own = parts.own,
    link = parts.link,
    channels = parts.channels,
    bus = parts.bus,
    seen = parts.seen,
    on_answer = parts.on_answer,
    answers = {}, -- lists of answers, by node
    running = 0,
  }, NodeService)
end

local function answer(self, to, id, facts)
  local list = self.answers[to]
  if not list then
    list = {}
    self.answers[to] = list
    self.on_answer()
  end
  facts.id = id
  list[#list + 1] = facts
end

-- The frame of a kept topic may have another place now, because Redis was replaced and did not have it. The workers know whether
-- they have delivered it.
local function answer_again(self, head, payload, facts)
  local place = head.args.place
  if place and facts.place and place.epoch ~= facts.place.epoch then
    head.args.former = facts.place
    self.bus:tell_all("skip_frame", head.args, payload)
  end
  answer(self, head.from, head.id, facts)
end

-- Whether a worker did not deliver a frame that Redis has lost. Without an answer, the frame comes again.
local function is_lost(results)
  for _, result in ipairs(results) do
    if result.is_lost then
      return true
    end
  end
  return false
end

local function run(self, head, payload, on_done)
  local request = { op = head.op, args = head.args, payload = payload }
  if head.worker then
    return self.bus:ask(head.worker, request, function(result) on_done { results = { result } } end)
  elseif head.waits then
    return self.bus:ask_all(
      request,
      function(results, is_complete) on_done { results = results, is_incomplete = not is_complete or nil } end
    )
  end
  self.bus:tell_all(head.op, head.args, payload)
  on_done { results = {} }
end

--- Runs the request of another node, unless it was run before, and answers it. Does not yield.
---@param head table of the message
---@param payload string
function NodeService:receive(head, payload)
  local is_new, known = true, nil
  if not head.is_read then
    is_new, known = self.seen:claim(head.id)
  end
  if not is_new then
    return known and answer_again(self, head, payload, cjson.decode(known))
  end
  self.running = self.running + 1
  local function finish(facts)
    self.running = self.running - 1
    facts.place = head.args.place
    if head.args.item then
      LastItems.note(head.args.topic, head.args.item, head.args.previous)
    end
    if not head.is_read then
      self.seen:keep(head.id, facts)
    end
    if not is_lost(facts.results) then
      answer(self, head.from, head.id, facts)
    end
  end
  -- A node of another version may ask for what this one does not know.
  local ok, err = xpcall(run, debug.traceback, self, head, payload, finish)
  if not ok then
    Log.limited(Log.error, "node", nil, "a request of another node failed: ", err)
    finish { results = {}, is_incomplete = true }
  end
end

--- Sends the answers that wait.
function NodeService:flush()
  local answers = self.answers
  self.answers = {}
  for to, list in pairs(answers) do
    local text = Message.encode({ from = self.own, answers = list }, "")
    self.link:command(nil, "PUBLISH", self.channels:node(to), text)
  end
end

--- Whether a request is running.
---@return boolean
function NodeService:is_busy() return self.running > 0 end

return NodeService
