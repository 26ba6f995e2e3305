-- Slots for open events, shared fairly among the addresses of clients. An open event holds a slot until its answer, also
-- when its client has left. Strangers decide how many handshakes there are, so no address may hold all slots.

local LinkedList = require "framegate.runtime.linked_list"

---@class Handshake needs a slot; an item of the list of its address while it waits
---@field network string of its client, as Address.network gives it
---@field slot_granted fun(self: Handshake) is called when a handshake that waits gets its slot
---@field has_slot boolean? set only here

---@class OpenSlots
---@field free integer
---@field addresses table<string, table> by network: how many slots it has `held`, and the list of those that are `waiting`
---@field turns LinkedList addresses with waiting handshakes; the first is next
local OpenSlots = {}
OpenSlots.__index = OpenSlots

-- An address may hold this many slots for each free one. So one alone gets three quarters of all, and some stay free for
-- the next address.
local HELD_FOR_EACH_FREE = 3

---@param count integer of slots
---@return OpenSlots
function OpenSlots.new(count) return setmetatable({ free = count, addresses = {}, turns = LinkedList.new() }, OpenSlots) end

local function may_hold_more(self, address) return address.held < HELD_FOR_EACH_FREE * self.free end

local function hold(self, address, handshake)
  self.free, address.held, handshake.has_slot = self.free - 1, address.held + 1, true
end

local function forget_if_unused(self, network)
  local address = self.addresses[network]
  if address.held == 0 and not address.waiting.first then
    self.addresses[network] = nil
  end
end

local function stop_waiting(self, address, handshake)
  address.waiting:remove(handshake)
  if not address.waiting.first then
    self.turns:remove(address)
  end
end

-- Gives a slot that became free to the first waiting address that may hold more.
local function hand_on(self)
  local address = self.turns.first
  while address and not may_hold_more(self, address) do
    address = address.after
  end
  if address then
    local handshake = address.waiting.first
    self.turns:remove(address)
    self.turns:append(address)
    stop_waiting(self, address, handshake)
    hold(self, address, handshake)
    handshake:slot_granted()
  end
end

--- Asks for a slot. Without one, the handshake waits until `slot_granted` or `leave`.
---@param handshake Handshake
---@return boolean has_slot
function OpenSlots:ask(handshake)
  local network = handshake.network
  local address = self.addresses[network] or { held = 0, waiting = LinkedList.new() }
  self.addresses[network] = address
  if not address.waiting.first and may_hold_more(self, address) then
    hold(self, address, handshake)
    return true
  end
  address.waiting:append(handshake)
  if not address.list then
    self.turns:append(address)
  end
  return false
end

--- Ends a handshake's wait, or gives its slot to another one.
---@param handshake Handshake
function OpenSlots:leave(handshake)
  local network = handshake.network
  local address = self.addresses[network]
  if handshake.has_slot then
    handshake.has_slot, address.held, self.free = nil, address.held - 1, self.free + 1
    hand_on(self)
  elseif handshake.list then
    stop_waiting(self, address, handshake)
  else
    return
  end
  forget_if_unused(self, network)
end

return OpenSlots
