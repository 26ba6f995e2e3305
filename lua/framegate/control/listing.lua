-- The lists of the control API: open connections, topics and closed sockets, over all workers of all nodes.

local Closes = require "framegate.telemetry.closes"
local Json = require "framegate.control.json"
local Problem = require "framegate.control.problem"
local Request = require "framegate.control.request"
local TopicName = require "framegate.protocol.topic_name"

local Listing = {}

local PAGE, MAX_PAGE = 100, 1000

local nodes, bus, members

--- Gives this module the instances of its worker.
---@param worker Worker
function Listing.wire(worker)
  nodes, bus, members = worker.nodes, worker.bus, worker.members
end

--- Makes an answer of a JSON text.
---@param text string
---@return { status: integer, body: string, type: string }
function Listing.answer(text) return { status = 200, body = text, type = "application/json" } end

--- Writes the description of a connection as JSON.
---@param facts table from ConnectionInfo.of
---@return string
function Listing.facts(facts)
  local topics = facts.topics
  facts.topics = nil
  return Json.object(facts, { { "topics", Json.array(topics) } })
end

--- Reads the topic in a request's path.
---@param request { segments: string[] }
---@return string? topic
---@return table? problem
function Listing.topic_of(request)
  local topic = request.segments[2]
  if not TopicName.is_valid(topic) then
    return nil, Problem.new(400, "a topic is " .. TopicName.RULE .. ", percent-encoded in the path")
  end
  return topic
end

local function limit_of(request) return Request.number(request, "limit", { default = PAGE, most = MAX_PAGE }) end

--- Whether a request asks for paths with their queries, which may contain tokens.
---@param request { query: table<string, string> }
---@return boolean? has_query
---@return table? problem
function Listing.shows_query(request)
  local show = request.query.show
  if show ~= nil and show ~= "query" then
    return nil, Problem.new(400, "show is query")
  end
  return show == "query"
end

local AWAY = { ["true"] = true, ["false"] = false }

-- Whether only sockets whose clients are away are asked for, or only the others; nil for both.
local function away_of(request)
  local text = request.query.away
  if text and AWAY[text] == nil then
    return nil, Problem.new(400, "away is true or false")
  end
  return AWAY[text]
end

-- The arguments for the workers. The limit is one higher than requested, which shows whether a next page exists.
local function page_of(request)
  local limit, problem = limit_of(request)
  local has_query, show_problem = Listing.shows_query(request)
  local away, away_problem = away_of(request)
  problem = problem or show_problem or away_problem
  if problem then
    return nil, problem
  end
  local query = request.query
  return { after = query.cursor or "", limit = limit + 1, has_query = has_query, node = query.node, away = away }
end

-- Makes an answer of a list. Without the part of a worker or a node it is a problem, which holds the others'.
local function write(list, facts, is_complete)
  if is_complete then
    return Listing.answer(Json.object(facts, { list }))
  end
  local problem = Problem.members(504, "a worker or a node did not answer: what it holds is missing from this list")
  for name, fact in pairs(facts) do
    problem[name] = fact
  end
  return { status = 504, body = Json.object(problem, { list }), type = Problem.TYPE }
end

local function by_id(a, b) return a.id < b.id end

local function first_of(results, limit)
  local all, count = {}, 0
  for _, result in ipairs(results) do
    count = count + result.count
    for _, facts in ipairs(result.connections) do
      all[#all + 1] = facts
    end
  end
  table.sort(all, by_id)
  local has_more = #all > limit
  for i = #all, limit + 1, -1 do
    all[i] = nil
  end
  return all, count, has_more
end

-- The list of this node alone needs no other node.
local function collect(op, page)
  if page.node == members:node() then
    return bus:call_all(op, page)
  end
  return nodes:collect(op, page)
end

-- Asks all workers of all nodes for a page of connections, and writes it.
local function list_page(op, page, facts)
  local results, is_complete = collect(op, page)
  local limit = page.limit - 1
  local connections, count, has_more = first_of(results, limit)
  facts.count, facts.cursor = count, has_more and connections[limit].id or nil
  return write({ "connections", Json.array(connections, Listing.facts) }, facts, is_complete)
end

--- GET /connections
function Listing.list(request)
  local page, problem = page_of(request)
  return problem or list_page("list", page, {})
end

local function as_written(json) return json end

--- GET /closes
function Listing.list_closes(request)
  local limit, problem = limit_of(request)
  if not limit then
    return problem
  end
  local closes, count = Closes.last(limit)
  return Listing.answer(Json.object({ count = count }, { { "closes", Json.array(closes, as_written) } }))
end

--- GET /topics
function Listing.list_topics()
  local results, is_complete = nodes:collect("count_topics", {})
  local counts = {}
  for _, result in ipairs(results) do
    for name, count in pairs(result.topics) do
      counts[name] = (counts[name] or 0) + count
    end
  end
  local topics = {}
  for name, count in pairs(counts) do
    topics[#topics + 1] = { topic = name, count = count }
  end
  table.sort(topics, function(a, b) return a.topic < b.topic end)
  return write({ "topics", Json.array(topics) }, {}, is_complete)
end

--- GET /topics/{topic}
function Listing.describe_topic(request)
  local topic, problem = Listing.topic_of(request)
  local page, page_problem = page_of(request)
  if not topic or not page then
    return problem or page_problem
  end
  page.topic = topic
  return list_page("list_topic", page, { topic = topic })
end

return Listing
