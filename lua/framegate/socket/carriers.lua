-- How workers reach each other to move a socket: over the bus within this node, over Redis between nodes.

local Places = require "framegate.session.places"
local Random = require "framegate.runtime.random"
local Threads = require "framegate.runtime.threads"

---@class Carriers
---@field private members Members
---@field private holders Holders
---@field private bus Bus
---@field private nodes Nodes
local Carriers = {}
Carriers.__index = Carriers

local WAIT_SECONDS = 5
local OFFER_SECONDS = 1 -- a session may come to the other node later, too
local ASK_SECONDS, MOST_ASKS = 0.25, 120 -- between two questions which node has a socket, and how many
local NAME_LENGTH = 22

---@param parts { members: Members, holders: Holders, bus: Bus, nodes: Nodes }
---@return Carriers
function Carriers.new(parts)
  return setmetatable({
    members = parts.members,
    holders = parts.holders,
    bus = parts.bus,
    nodes = parts.nodes,
  }, Carriers)
end

local function request_to(self, node, worker, op, args)
  return {
    id = self.nodes:new_id(),
    op = op,
    args = args,
    to = node,
    worker = worker,
    waits = true,
    seconds = WAIT_SECONDS,
  }
end

--- Runs an operation in the worker that holds a socket, and waits for its result. Yields.
---@param holder string names of node and worker
---@param op string
---@param args table
---@return table? result nil when it did not answer
---@return boolean? is_unsure whether it may still live
function Carriers:ask(holder, op, args)
  local node, worker = Places.split(holder)
  if node == self.members:node() then
    local result, err = self.bus:call(worker, op, args)
    return result, err == "timeout"
  end
  local outcome = self.nodes:begin(request_to(self, node, worker, op, args), "")()
  return outcome.results[1], outcome.is_away or outcome.is_incomplete or #outcome.missing > 0
end

--- Waits until what other workers of this node have sent to a worker of another node is on its way. Yields.
---@param holder string names of node and worker
---@return boolean is_sent false while a worker stands still
function Carriers:await_sent(holder)
  local link_holder = Places.split(holder) ~= self.members:node() and self.holders:current()
  if not link_holder then
    return true
  end
  local result = self.bus:call(link_holder, "echo_all", {})
  return result ~= nil and result.is_complete == true
end

-- Runs an operation in the worker that holds the link to Redis.
local function over_link(self, request, on_result)
  local holder = self.holders:current()
  if not holder then
    return on_result(nil)
  end
  self.bus:ask(holder, request, on_result)
end

--- Learns which node has a socket that was on its way when a worker died or a node did not answer. From then on nobody can
--- take it. Yields.
---@param id string
---@param is_receiver boolean whether this node was the receiver; if not, it was the sender
---@return string? node nil when it was not sent, or when Redis is away for long
function Carriers:settle(id, is_receiver)
  for _ = 1, MOST_ASKS do
    local link_holder = self.holders:current()
    local result = link_holder and self.bus:call(link_holder, "settle_parcel", { id = id, is_receiver = is_receiver })
    if result and result.node then
      return result.node ~= "" and result.node or nil
    end
    ngx.sleep(ASK_SECONDS)
  end
end

--- Whether another node has a socket of an earlier gateway of this machine, which was killed when it had just given it away.
--- Yields.
---@param id string
---@param former string id of the node that the earlier gateway was
---@return boolean
function Carriers:is_elsewhere(id, former)
  local holder = not self.nodes:is_alone() and self.holders:current()
  local result = holder and self.bus:call(holder, "find_socket", { id = id })
  if result and not result.node then -- it may have ended there
    result = self.bus:call(holder, "settle_parcel", { id = id, is_receiver = false })
  end
  local node = result and result.node ~= "" and result.node
  return node and node ~= former and node ~= self.members:node() or false
end

-- The other node did not answer. If it has the socket, that may be on its way back to this node already.
local function ask_redis(self, id, holder, on_result)
  Threads.run(function()
    local node = self:settle(id, false)
    on_result(node ~= nil and node ~= self.members:node() or Places.holder(id) ~= holder)
  end, nil, function() on_result(false) end)
end

local function send_to_node(self, holder, args, parcel, on_result)
  local node, worker = Places.split(holder)
  local name = Random.name(NAME_LENGTH)
  over_link(self, { op = "put_parcel", args = { id = args.id, name = name }, payload = parcel }, function(stored)
    if not stored or not stored.count then
      return on_result(false)
    end
    args.parcel, args.count = name, stored.count
    local request = request_to(self, node, worker, "take_socket", args)
    self.nodes:send(request, "", function(outcome)
      if outcome.results[1] then
        return on_result(outcome.results[1].ok == true)
      end
      ask_redis(self, args.id, holder, on_result)
    end)
  end)
end

--- Sends a packed socket to another worker. Does not yield.
---@param holder string names of node and worker
---@param args { id: string, from: string, text: string? } `from`: names of this node and this worker; `text`: the record of
--- a socket that goes to another node
---@param parcel string
---@param on_result fun(has_moved: boolean) must not yield
function Carriers:send(holder, args, parcel, on_result)
  local node, worker = Places.split(holder)
  if node ~= self.members:node() then
    return send_to_node(self, holder, args, parcel, on_result)
  end
  self.bus:ask(worker, { op = "take_socket", args = args, payload = parcel }, function(result)
    local fate = Places.decide(args.id, "kept")
    on_result(result and result.ok == true or not result and fate ~= "kept")
  end)
end

--- The other nodes of the cluster that can take sockets. Yields.
---@return string[] ids
function Carriers:others()
  local holder = self.holders:current()
  local state = holder and self.bus:call(holder, "describe_nodes", {})
  local ids = {}
  for _, node in ipairs(state and state.is_ready and state.nodes or {}) do
    ids[#ids + 1] = node.is_up and node.id ~= self.members:node() and node.id or nil
  end
  return ids
end

--- Offers a session to another node, which takes it. Does not yield.
---@param node string
---@param args { id: string, holder: string }
---@param on_done fun(is_stopping: boolean) when it has taken it, or has not; `is_stopping`: it takes none
function Carriers:offer(node, args, on_done)
  local request = request_to(self, node, nil, "adopt_session", args)
  request.seconds = OFFER_SECONDS
  self.nodes:send(request, "", function(outcome)
    local is_stopping = false
    for _, result in ipairs(outcome.results) do
      is_stopping = is_stopping or result.is_stopping == true
    end
    on_done(is_stopping)
  end)
end

--- Gets a parcel that another node has sent. Does not yield.
---@param args { id: string, text: string, from: string, parcel: string, count: integer }
---@param on_done fun(parcel: string?, is_refused: boolean) without a parcel this node has taken the socket or not, unless
--- `is_refused`
function Carriers:fetch(args, on_done)
  over_link(self, { op = "take_parcel", args = args, payload = "" }, function(result)
    local parcel = result and result.base64 and ngx.decode_base64(result.base64)
    on_done(parcel, result ~= nil and result.is_refused == true)
  end)
end

local function weight_of(result) return result.is_here and 3 or result.is_moving and 2 or result.id and 1 or 0 end

-- The answer of the node that has the socket of a key, or else of one that gives it to another node, or else of one that had it:
-- that may be out of date.
local function known_by(results)
  local known
  for _, result in ipairs(results) do
    if weight_of(result) > (known and weight_of(known) or 0) then
      known = result
    end
  end
  return known
end

--- Finds a session by a key that this node does not know. Yields.
---@param key string
---@return { id: string, holder: string, is_opening: boolean?, is_here: boolean?, is_moving: boolean? }? found
---@return boolean? is_unsure whether a node did not answer that may know it
function Carriers:find(key)
  if self.nodes:is_alone() then
    return nil
  end
  local request = request_to(self, nil, nil, "find_session", { key = key })
  request.is_read = true
  local outcome = self.nodes:begin(request, "")()
  local found = known_by(outcome.results)
  local is_complete = not (outcome.is_away or outcome.is_incomplete or #outcome.missing > 0)
  return found, not (found and found.is_here) and not is_complete
end

--- Claims the nonce of a first handshake for this node, so that a repeat at another node finds it. Yields.
---@param nonce string
---@return boolean is_repeated whether a node has claimed it before: also if that was this one, another may have the socket now
function Carriers:claim(nonce)
  local holder = not self.nodes:is_alone() and self.holders:current()
  local result = holder and self.bus:call(holder, "claim_nonce", { nonce = nonce })
  return result and result.node ~= nil and result.node ~= "" or false
end

return Carriers
