-- POST /publish: what publishers of GRIP send to Pushpin. Here it reaches the subscribers of all nodes of a cluster.

local cjson = require "cjson.safe"
local Config = require "framegate.config"
local Problem = require "framegate.control.problem"
local PublishItem = require "framegate.control.publish_item"
local Sequencer = require "framegate.control.sequencer"

local Publish = {}

local MAX_ITEMS = 1000
local MAX_BYTES = 16 * 1024 * 1024 -- or more, for one message of MAX_MESSAGE_BYTES

local push

--- Gives this module the instances of its worker.
---@param worker Worker
function Publish.wire(worker) push = worker.push end

local TEXT = { status = 200, body = "Published", type = "text/plain" }
local JSON = { status = 200, body = '{"message":"Published"}', type = "application/json" }

-- The answer in a type that the client accepts; nil when it accepts neither (RFC 9110 section 12.5.1).
local function published(accept)
  if accept == nil or accept == "" then
    return TEXT
  end
  local has_json
  for part in accept:lower():gmatch("[^,]+") do
    local range = part:match("^%s*([^;%s]+)")
    if range == "*/*" or range == "text/*" or range == "text/plain" then
      return TEXT
    end
    has_json = has_json or range == "application/json" or range == "application/*"
  end
  return has_json and JSON or nil
end

local function read(request)
  local most = math.max(MAX_BYTES, 2 * Config.MAX_MESSAGE_BYTES)
  if #request.payload > most then
    return nil, Problem.new(413, ("a publish has at most %d bytes"):format(most))
  end
  local document = cjson.decode(request.payload)
  if type(document) ~= "table" then
    return nil, Problem.new(400, "the body is not valid JSON")
  end
  local entries = document.items
  if type(entries) ~= "table" or next(entries) ~= nil and entries[1] == nil then
    return nil, Problem.new(400, 'the body is {"items":[…]}')
  elseif #entries > MAX_ITEMS then
    return nil, Problem.new(413, ("a publish has at most %d items"):format(MAX_ITEMS))
  end
  local items = {}
  for i, entry in ipairs(entries) do
    local item, err, status = PublishItem.read(entry)
    if not item then
      return nil, Problem.new(status or 400, ("item %d: %s"):format(i, err))
    end
    items[i] = item
  end
  return items
end

-- An id makes an item the same over the whole cluster. Without, the key of the request does.
local function key_of(item, request, place)
  if item.id then
    return "grip/" .. ngx.encode_base64(ngx.sha1_bin(item.channel .. "\0" .. item.id))
  end
  return request.key and request.key .. "/" .. place
end

local NOBODY = { delivered = 0, dropped = 0 }
local OPERATIONS = { send = "publish", close = "close_topic", refresh = "refresh_topic" }

local function send(item, key, traceparent)
  if not item.action then
    return NOBODY
  end
  local args = {
    topic = item.channel,
    meta = item.meta,
    code = item.code,
    reason = item.reason,
    item = not item.has_no_order and item.id or nil,
    previous = not item.has_no_order and item.previous or nil,
  }
  local message =
    { payload = item.payload or "", is_text = item.is_text ~= false, key = key, traceparent = traceparent }
  return push:to_many(OPERATIONS[item.action], args, message)
end

local FAILURES = {
  unreachable = function(counts)
    return Problem.unreachable(
      "not every node of the cluster could be reached; a repeat with the same id reaches only those that were not",
      counts
    )
  end,
  timeout = function(counts)
    return Problem.new(504, "a worker did not answer: what became of an item there is not known", nil, counts)
  end,
}

-- Publishes all items. Returns the answer to the last one that failed. An item that no socket gets may be the one before
-- another.
local function publish_all(items, request)
  local problem
  for place, item in ipairs(items) do
    if item.action or item.id then
      local counts, err = Sequencer.run(
        item,
        function() return send(item, key_of(item, request, place), request.traceparent) end
      )
      problem = err and FAILURES[err](counts) or problem
    end
  end
  return problem
end

--- Publishes.
---@param request ControlRequest
---@return table answer
function Publish.run(request)
  local answer = published(request.accept)
  if not answer then
    return Problem.new(406, "the answer is text/plain or application/json")
  end
  local items, problem = read(request)
  if not items then
    return problem
  end
  return publish_all(items, request) or answer
end

return Publish
