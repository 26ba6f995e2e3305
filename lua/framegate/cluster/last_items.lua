-- Which item of POST /publish came last in each channel, as this node knows it: from its own publishers and from other
-- nodes. It is in shared memory, because items come to any worker. An item that names its `prev-id` waits until that is the
-- last one (control/sequencer.lua).

local LastItems = {}

local SECONDS = 60 -- for which the last id of a channel, and the ids of all items, are known

local seen = ngx.shared.seen

local function last_name(channel) return "last/" .. channel end

local function item_name(channel, id) return "sent/" .. ngx.encode_base64(ngx.sha1_bin(channel .. "\0" .. id)) end

--- Notes that an item has reached the sockets of this node. A repeat changes nothing, and neither does one whose follower is
--- known: its publisher may have waited long for another node.
---@param channel string
---@param id string of the item
---@param previous string? of the one before it
function LastItems.note(channel, id, previous)
  if previous then
    seen:add(item_name(channel, previous), true, SECONDS)
  end
  local ok, err = seen:add(item_name(channel, id), true, SECONDS)
  if ok or err ~= "exists" then
    seen:set(last_name(channel), id, SECONDS)
  end
end

--- Forgets which item was the last one, because an item without an id came.
---@param channel string
function LastItems.forget(channel) seen:delete(last_name(channel)) end

--- Whether an item comes before the one that it names as the one before it. While the last item is not known, the answer is
--- no; a repeat never waits.
---@param item { channel: string, id: string?, previous: string? }
---@return boolean
function LastItems.is_early(item)
  local last = item.previous and seen:get(last_name(item.channel))
  if last == nil or last == item.previous then
    return false
  end
  return item.id == nil or seen:get(item_name(item.channel, item.id)) == nil
end

return LastItems
