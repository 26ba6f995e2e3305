-- Finds the worker that holds a connection, and runs an operation there: in this node or another one.

local Places = require "framegate.session.places"

local Search = {}

local MOST_MOVES = 4 -- of a socket while one request looks for it

--- What is wrong with an outcome.
---@param outcome NodeOutcome
---@param is_complete boolean whether all workers of this node have answered
---@return "unreachable"|"timeout"|nil err
function Search.err_of(outcome, is_complete)
  if outcome.is_away or #outcome.missing > 0 then
    return "unreachable"
  end
  return (not is_complete or outcome.is_incomplete) and "timeout" or nil
end

local function request_to(self, node, worker, request)
  return {
    id = request.key or self.nodes:new_id(),
    op = request.op,
    args = request.args,
    to = node,
    worker = worker,
    waits = true,
    is_read = request.is_read,
    seconds = self.wait,
  }
end

local function ask_node(self, node, worker, request)
  local outcome = self.nodes:begin(request_to(self, node, worker, request), request.payload)()
  if outcome.is_away or #outcome.missing > 0 then
    return nil, "unreachable"
  end
  return outcome.results[1], outcome.is_incomplete and "timeout" or "gone"
end

-- Asks the node whose records have a socket. The worker is not known, so all are asked.
local function ask_finder(self, id, request)
  local link_holder = not self.nodes:is_alone() and self.holders:current()
  local found = link_holder and self.bus:call(link_holder, "find_socket", { id = id })
  if not found or not found.node then
    return nil, found and found.is_away and "unreachable" or "gone"
  end
  local outcome = self.nodes:begin(request_to(self, found.node, nil, request), request.payload)()
  for _, result in ipairs(outcome.results) do
    if not result.gone and not result.moved then
      return result
    end
  end
  return nil, Search.err_of(outcome, true) or "gone"
end

local function ask_holder(self, node, worker, request)
  if node == self.members:node() then
    return self.once_here:ask(worker, request)
  end
  return ask_node(self, node, worker, request)
end

---@class ConnectionRequest
---@field op string name of an operation
---@field args table gets the id
---@field payload string
---@field is_read boolean? whether it changes nothing
---@field key string? unique in the cluster: a repeat with it is not run again

-- A request that did not find its socket is another one at the next worker.
local function next_key(key) return key and key .. "+" end

--- Runs an operation in the worker that holds a connection.
---@param id string of the connection
---@param request ConnectionRequest
---@return table? result
---@return string? err "gone", "timeout" when its worker did not answer, or "unreachable" when its node did not
function Search:ask(id, request)
  request.args.id = id
  local node, worker = Places.of(id)
  local result, err
  for _ = 1, MOST_MOVES do
    result, err = ask_holder(self, node, worker, request)
    if not result or not result.moved then
      break
    end
    node, worker = Places.split(result.moved)
    request.key = next_key(request.key)
  end
  if err ~= "timeout" and err ~= "unreachable" and (not result or result.gone or result.moved) then
    request.key = next_key(request.key)
    result, err = ask_finder(self, id, request)
  end
  if not result then
    return nil, err or "gone"
  end
  return result
end

return Search
