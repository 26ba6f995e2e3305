-- The last 1,000 closed sockets of all workers: a ring of JSON texts in shared memory.
-- It shows why sockets ended, even without SOCKET_LOG, and survives reloads and killed workers.

local Clock = require "framegate.runtime.clock"
local JsonObject = require "framegate.telemetry.json_object"

local Closes = {}

local ring = ngx.shared.closes
local KEPT = 1000

-- Limits for members that strangers choose. With them an entry has less than 1,024 bytes of JSON, escapes included.
local MAX_BYTES = { path = 256, user = 128, reason = 256 }

-- Cuts a text between characters, until its JSON has at most `bytes` bytes.
local function shortened(text, bytes)
  local size = #JsonObject.value(text)
  while size > bytes do
    text = text:sub(1, math.floor(#text * bytes / size)):gsub("[\192-\247]?[\128-\191]*$", "")
    size = #JsonObject.value(text)
  end
  return text
end

--- Adds a socket that has just closed. This costs one increment and one write.
---@param members { [1]: string, [2]: string|number|table|nil }[] as for JsonObject.write; texts are UTF-8
function Closes.add(members)
  local entry = { { "time", Clock.timestamp() } }
  for _, member in ipairs(members) do
    local name, value = member[1], member[2]
    local bytes = value and MAX_BYTES[name]
    entry[#entry + 1] = { name, bytes and shortened(value, bytes) or value }
  end
  local number = ring:incr("last", 1, 0)
  ring:set(tostring(number % KEPT), number .. " " .. JsonObject.write(entry))
end

--- The last closed sockets, the newest first.
---@param limit integer how many at most
---@return string[] entries JSON objects
---@return integer count how many are kept, at most 1,000
function Closes.last(limit)
  local last, entries = ring:get("last") or 0, {}
  local count = math.min(last, KEPT)
  for number = last, last - count + 1, -1 do
    if #entries == limit then
      break
    end
    -- Another worker may be between increment and write: then this key still holds an older entry, or none.
    local own, json = (ring:get(tostring(number % KEPT)) or ""):match("^(%d+) (.*)$")
    if tonumber(own) == number then
      entries[#entries + 1] = json
    end
  end
  return entries, count
end

return Closes
