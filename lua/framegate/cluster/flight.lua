-- A request to other nodes that is not finished: who has answered, and whether that is everybody.
-- Each node answers with its id, so it is counted once however often a request reaches it. Redis' own count of receivers
-- only shows how many answers to expect: a node with two links is in it twice, and one without a link is not in it.
-- A node that was asked alone may be none of the receivers, so its answer does not count for one of them.

local Message = require "framegate.cluster.message"

---@class NodeOutcome
---@field results table[] of the workers that ran it
---@field missing string[] ids of nodes that did not answer
---@field is_away boolean? whether Redis was away at the end, so that not even the missing nodes are known
---@field is_incomplete boolean? whether a worker of a node did not answer
---@field is_gone boolean? whether the node it was for does not exist (any more)
---@field place StreamPlace? of a frame that was stored
---@field stream StreamReply? what was read

---@class Flight
---@field number integer in the order of requests
---@field request NodeRequest
---@field text string? as it is sent; nil once it is finished
---@field bytes integer
---@field deadline number by Clock.monotonic
---@field repeat_at number? by Clock.monotonic
---@field receivers integer? how many links Redis gave it to; nil until Redis has answered
---@field was_known boolean? whether a node was in the roster that may answer
---@field includes_own boolean? whether this node's link is one of them
---@field own_links integer? how many links this node had
---@field unlinked table<string, boolean> nodes that had no link then
---@field asked_alone table<string, boolean> nodes that got a repeat
---@field is_repeated boolean? whether all that did not answer in time got one
---@field answers table<string, boolean> by node
---@field counted table<string, boolean> nodes that answered as receivers
---@field count integer of those
---@field own string id of this node
---@field outcome NodeOutcome
---@field on_done fun(outcome: NodeOutcome)
---@field is_finished boolean?
local Flight = {}
Flight.__index = Flight

local function head_of(own, request)
  return {
    id = request.id,
    from = own,
    op = request.op,
    args = request.args,
    worker = request.worker,
    waits = request.waits,
    is_read = request.is_read,
  }
end

---@param own string id of this node
---@param request NodeRequest
---@param payload string
---@return Flight
function Flight.new(own, request, payload)
  local text = Message.encode(head_of(own, request), payload)
  return setmetatable({
    own = own,
    request = request,
    text = text,
    bytes = #text,
    unlinked = {},
    asked_alone = {},
    answers = {},
    counted = {},
    count = 0,
    outcome = { results = {}, missing = {} },
  }, Flight)
end

--- The nodes that may still answer.
---@param roster Roster
---@return string[] ids
function Flight:unanswered(roster)
  local to, ids = self.request.to, {}
  for _, neighbour in ipairs(roster:all()) do
    if (not to or neighbour.id == to) and not self.answers[neighbour.id] then
      ids[#ids + 1] = neighbour.id
    end
  end
  return ids
end

--- Forgets what is known of links and receivers, because it is sent again.
function Flight:reset()
  self.receivers, self.includes_own, self.is_repeated = nil, nil, nil
  self.unlinked, self.asked_alone, self.counted, self.count = {}, {}, {}, 0
end

--- Takes the count of Redis.
---@param ids string[] of nodes
---@param counts integer[] links that it was given to, links of this node, then how many links each of the nodes has
function Flight:published(ids, counts)
  self.receivers, self.own_links = counts[1], counts[2]
  for i, id in ipairs(ids) do
    self.unlinked[id] = counts[i + 2] == 0 or nil
  end
end

--- Takes the place of the frame that Redis has stored.
---@param place StreamPlace
function Flight:stored(place) self.outcome.place = place end

--- The request as it is repeated to one node: with the place of its frame.
---@return string
function Flight:repeat_text()
  if not self.outcome.place then
    return self.text
  end
  local head, payload = Message.decode(self.text)
  head.place = self.outcome.place
  return Message.encode(head, payload)
end

--- Takes note that a node gets a repeat.
---@param id string of the node
---@param is_new boolean? whether it has a new link, so it may have missed the first
function Flight:repeated(id, is_new)
  self.asked_alone[id], self.unlinked[id] = true, is_new or self.unlinked[id]
end

--- Takes the answer of a node.
---@param from string id of the node
---@param answer { results: table[], is_incomplete: boolean? }
function Flight:answer(from, answer)
  if from ~= self.own and not self.asked_alone[from] and not self.counted[from] then
    self.counted[from], self.count = true, self.count + 1
  end
  if self.answers[from] then
    return
  end
  self.answers[from] = true
  local outcome = self.outcome
  for _, result in ipairs(answer.results) do
    outcome.results[#outcome.results + 1] = result
  end
  outcome.is_incomplete = outcome.is_incomplete or answer.is_incomplete
end

local function has_unlinked(self, roster)
  for id in pairs(self.unlinked) do
    if roster:get(id) and not self.answers[id] then
      return true
    end
  end
  return false
end

--- Whether this node has to answer as the others do, and has not: frames of kept topics come to it from Redis too.
---@return boolean
function Flight:waits_for_own()
  return self.request.kept ~= nil and self.includes_own == true and not self.answers[self.own]
end

--- Whether every node has answered that has somebody for it.
---@param roster Roster
---@return boolean
function Flight:is_complete(roster)
  local to = self.request.to
  if self.request.stream then
    return self.outcome.stream ~= nil
  elseif self:waits_for_own() then
    return false
  elseif to then
    -- A node that this one has not heard of yet may exist: then its own channel is subscribed.
    local does_not_exist = self.was_known or self.receivers == 0
    self.outcome.is_gone = not self.answers[to] and not roster:get(to) and does_not_exist == true
    return self.answers[to] or self.outcome.is_gone
  elseif not self.receivers then
    return false
  end
  local expected = self.receivers - (self.includes_own and math.max(self.own_links, 1) or 0)
  if self.count >= expected and not has_unlinked(self, roster) then
    return true
  end
  return (self.is_repeated or next(self.answers) ~= nil) and #self:unanswered(roster) == 0
end

return Flight
