-- A socket on its way to another worker, as bytes: its facts as JSON, then the frames and messages that it holds.
-- It begins with a version, because the workers of two releases exchange parcels.

local cjson = require "cjson.safe"

local Parcel = {}

local VERSION = "1"

local function add(pieces, text)
  pieces[#pieces + 1] = #text .. ":"
  pieces[#pieces + 1] = text
end

--- Packs a socket.
---@param facts table that JSON can represent
---@param items string[] bytes
---@return string
function Parcel.pack(facts, items)
  local pieces = { VERSION }
  add(pieces, cjson.encode(facts))
  for _, item in ipairs(items) do
    add(pieces, item)
  end
  return table.concat(pieces)
end

-- Reads the text at a position: its length, a colon, its bytes.
local function read(bytes, position)
  local first, last, digits = bytes:find("^(%d+):", position)
  local length = first and tonumber(digits)
  if not length or last + length > #bytes then
    return nil
  end
  return bytes:sub(last + 1, last + length), last + length + 1
end

--- Unpacks a socket.
---@param bytes string
---@return table? facts nil when it is of another version, or damaged
---@return string[]? items
function Parcel.unpack(bytes)
  if bytes:sub(1, #VERSION) ~= VERSION then
    return nil
  end
  local text, position = read(bytes, #VERSION + 1)
  local facts, items = text and cjson.decode(text), {}
  while facts and position <= #bytes do
    local item
    item, position = read(bytes, position)
    if not item then
      return nil
    end
    items[#items + 1] = item
  end
  return facts or nil, items
end

return Parcel
