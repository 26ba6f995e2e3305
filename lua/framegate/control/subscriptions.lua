-- PUT and DELETE /topics/{topic}/connections/{id}: subscribes a connection, also with kept frames, and unsubscribes it.

local Listing = require "framegate.control.listing"
local Problem = require "framegate.control.problem"
local Subscription = require "framegate.dispatch.subscription"

local Subscriptions = {}

local NO_CONTENT = { status = 204, body = "" }

local REFUSALS = {
  gone = function()
    return Problem.new(
      410,
      "not everything after this position is kept: the connection is subscribed and got no frames"
    )
  end,
  unreachable = function()
    return Problem.unreachable "Redis, which keeps this topic, cannot be reached now: the connection is subscribed and got no frames"
  end,
}

local push, history

--- Gives this module the instances of its worker.
---@param worker Worker
function Subscriptions.wire(worker)
  push, history = worker.push, worker.history
end

local function change(op, request, args)
  local result, err = push:ask(request.segments[4], { op = op, args = args, payload = "", key = request.key })
  if not result then
    return Problem.gone(err)
  elseif not result.ok then
    return Problem.new(409, result.err)
  end
  local refusal = REFUSALS[result.why]
  return refusal and refusal() or NO_CONTENT
end

--- PUT /topics/{topic}/connections/{id}
---@param request ControlRequest
---@return table answer 404 when kept frames are asked for of a topic that is not kept
function Subscriptions.add(request)
  local topic, problem = Listing.topic_of(request)
  if not topic then
    return problem
  end
  local wanted, wrong = Subscription.of_query(topic, request.query)
  if not wanted then
    return Problem.new(400, wrong)
  elseif (wanted.last or wanted.after) and not history:rule_of(topic) then
    return Problem.new(404, "this topic is not kept (HISTORY)")
  end
  return change("subscribe", request, wanted)
end

--- DELETE /topics/{topic}/connections/{id}
---@param request ControlRequest
---@return table answer
function Subscriptions.remove(request)
  local topic, problem = Listing.topic_of(request)
  return topic and change("unsubscribe", request, { topic = topic }) or problem
end

return Subscriptions
