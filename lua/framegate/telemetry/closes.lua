-- The last 1,000 sockets that closed, over all workers: a ring of JSON texts in shared memory. Whoever asks why sockets
-- ended gets an answer without SOCKET_LOG, and it survives reloads and killed workers.

local Clock = require "framegate.runtime.clock"
local JsonObject = require "framegate.telemetry.json_object"

local Closes = {}

local ring = ngx.shared.closes
local KEPT = 1000

-- What strangers may choose: with these an entry has less than 1,024 bytes of JSON, however much of it is escaped.
local MAX_BYTES = { path = 256, user = 128, reason = 256 }

-- Cuts a text until its JSON has so few bytes, between characters.
local function shortened(text, bytes)
  local size = #JsonObject.value(text)
  while size > bytes do
    text = text:sub(1, math.floor(#text * bytes / size)):gsub("[\192-\247]?[\128-\191]*$", "")
    size = #JsonObject.value(text)
  end
  return text
end

--- A socket closed now. One increment and one write, however many sockets close.
---@param members { [1]: string, [2]: string|number|table|nil }[] as JsonObject.write takes them; texts are UTF-8
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

--- The last sockets that closed, the newest first.
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
    -- A worker may be between its two writes: then the place still holds an older entry, or none.
    local own, json = (ring:get(tostring(number % KEPT)) or ""):match("^(%d+) (.*)$")
    if tonumber(own) == number then
      entries[#entries + 1] = json
    end
  end
  return entries, count
end

return Closes
