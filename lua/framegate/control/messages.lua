-- GET /topics/{topic}/messages: the frames that a topic keeps.

local Clock = require "framegate.runtime.clock"
local Json = require "framegate.control.json"
local Listing = require "framegate.control.listing"
local Problem = require "framegate.control.problem"
local Request = require "framegate.control.request"

local Messages = {}

local LAST, MAX_LAST = 100, 100000
local MAX_BYTES = 16 * 1024 * 1024 -- of frames in one answer

local history

--- Gives this module the instances of its worker.
---@param worker Worker
function Messages.wire(worker) history = worker.history end

local function last_of(request) return Request.number(request, "last", { default = LAST, most = MAX_LAST }) end

-- What a request asks for: the last frames, or all behind a position.
local function wanted_of(request)
  local after = request.query.after
  if after and request.query.last then
    return nil, Problem.new(400, "give last or after, not both")
  elseif after then
    return { after = after }
  end
  local last, problem = last_of(request)
  return last and { last = last }, problem
end

-- `history_id` is what History:read gives for History:position.
local function facts(history_id)
  return function(frame)
    return Json.object({
      position = history:position(history_id, frame.offset),
      time = Clock.format(frame.time),
      type = frame.is_text and "text" or "binary",
      text = frame.is_text and frame.payload or nil,
      base64 = not frame.is_text and ngx.encode_base64(frame.payload) or nil,
    }, {})
  end
end

--- GET /topics/{topic}/messages
---@param request ControlRequest
---@return table answer 404 for a topic that is not kept, 410 when not everything behind `after` is kept, 503 while Redis is away
function Messages.list(request)
  local topic, problem = Listing.topic_of(request)
  if not topic then
    return problem
  elseif not history:rule_of(topic) then
    return Problem.new(404, "this topic is not kept (HISTORY)")
  end
  local wanted, wrong = wanted_of(request)
  if not wanted then
    return wrong
  end
  local frames, position, id = history:read(topic, wanted, { max_bytes = MAX_BYTES })
  if not frames and history.is_shared and not position then
    return Problem.unreachable "Redis, which keeps this topic, cannot be reached now"
  elseif not frames then
    return Problem.new(410, "not everything after this position is kept: read the last messages instead")
  end
  return Listing.answer(
    Json.object({ topic = topic, position = position }, { { "messages", Json.array(frames, facts(id)) } })
  )
end

return Messages
