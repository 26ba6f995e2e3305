-- The messages between nodes: gives those that come to who needs them, and announces news of this node.

local Message = require "framegate.cluster.message"

local NodeMessages = {}

-- A request, answers, or news of a node. A frame of a kept topic has the place that Redis gave it.
local function receive(node_link, head, payload)
  if head.op then
    head.args.place = head.place
    return node_link.succession:receive(head, payload)
  end
  for _, answer in ipairs(head.answers or {}) do
    node_link.requests:answered(head.from, answer)
  end
  if head.event == "joined" then
    node_link.roster:hear(head.from, head.facts)
    node_link.requests:repeat_all(head.from)
  elseif head.event == "left" or head.event == "buried" then
    node_link.roster:remove(head.node or head.from)
    node_link.requests:check_all()
  end
end

--- Takes a message. What comes while the link ends is for the next holder, because this worker's other links may have ended.
---@param node_link NodeLink
---@param text string
function NodeMessages.receive(node_link, text)
  local head, payload = Message.decode(text)
  if not head or node_link.rounds.has_stopped then
    return
  elseif head.from ~= node_link.own then
    return receive(node_link, head, payload)
  end
  node_link.lease:heard(head.renewal)
  node_link.requests:came_back(head.id)
  if head.place or head.answers then
    receive(node_link, head, payload)
  end
end

--- Announces news to all nodes. Does not yield.
---@param node_link NodeLink
---@param event "joined"|"buried"
---@param news { node: string?, facts: NodeFacts? } `node`: the one that was buried; `facts` of this node
function NodeMessages.announce(node_link, event, news)
  local head = { from = node_link.own, event = event, node = news.node, facts = news.facts }
  node_link.link:command(nil, "PUBLISH", node_link.channels.all, Message.encode(head, ""))
end

return NodeMessages
