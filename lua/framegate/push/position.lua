-- Writes and reads positions, which name a place in the history of a topic. Clients keep them and give them back as they are.
-- A position is <epoch>.<topic>.<offset>. The epoch is new with each start of the gateway, and the number of the topic with
-- each new life of its history. So a position from before either is recognized. In a cluster it is <epoch>.<offset>: the epoch
-- belongs to the topic, and is new with each new life of its history and with another Redis.

local Position = {}

---@class Place
---@field epoch string
---@field id integer? number of the topic; nil in a cluster
---@field offset integer

---@param place Place
---@return string
function Position.encode(place)
  if place.id then
    return ("%s.%x.%x"):format(place.epoch, place.id, place.offset)
  end
  return ("%s.%x"):format(place.epoch, place.offset)
end

---@param text any
---@return Place? place nil when it is no position
function Position.decode(text)
  if type(text) ~= "string" or #text > 64 then
    return nil
  end
  local epoch, id, offset = text:match("^([%w_%-]+)%.?(%x*)%.(%x+)$")
  if not epoch or #id > 12 or #offset > 12 then
    return nil
  end
  return { epoch = epoch, id = tonumber(id, 16), offset = tonumber(offset, 16) }
end

return Position
