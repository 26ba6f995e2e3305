-- Reads whether an answer may be kept for equal questions, for how long, and on which headers it depends.
-- This gateway is a shared cache (RFC 9111): it keeps only what the answer calls public.

local Effects = require "framegate.dispatch.effects"
local Fields = require "framegate.protocol.fields"

local Freshness = {}

local LONGEST_SECONDS = 365 * 86400
local FORBIDDEN = { "private", "no-store", "no-cache" }

local function joined(headers, name)
  local value = headers[name] or ""
  return type(value) == "table" and table.concat(value, ",") or value
end

-- Arguments may be in quotes (RFC 9111 section 5.2). Only those of numbers are read. Of repeats, the smallest counts.
local function directives_of(text)
  local directives = {}
  text = text:lower():gsub('"(%d+)"', "%1"):gsub('"[^"]*"', "")
  for item in text:gmatch "[^,]+" do
    local name, argument = item:match "^%s*([%w-]+)%s*=?%s*(.-)%s*$"
    if name then
      local seconds = argument:match "^%d+$" and tonumber(argument) or 0
      directives[name] = math.min(seconds, directives[name] or seconds)
    end
  end
  return directives
end

local function seconds_of(headers)
  local directives = directives_of(joined(headers, "cache-control"))
  for _, name in ipairs(FORBIDDEN) do
    if directives[name] then
      return 0
    end
  end
  local seconds = directives.public and (directives["s-maxage"] or directives["max-age"]) or 0
  return math.min(seconds, LONGEST_SECONDS) - (tonumber(joined(headers, "age")) or 0)
end

-- The names in `vary`, sorted; nil if it is `*` or no list of names.
local function vary_of(headers)
  local names = {}
  for name in joined(headers, "vary"):lower():gmatch "[^,%s]+" do
    if name == "*" or not Fields.is_token(name) then
      return nil
    end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The frames of an answer that asks for nothing else, else nil.
local function frames_of(answer)
  local effects = Effects.read(answer)
  for _, effect in ipairs(effects or {}) do
    if effect.kind ~= "send" then
      return nil
    end
  end
  return effects
end

---@class KeptAnswer
---@field seconds number how long it stays fresh
---@field vary string[] names of headers in lower case, sorted
---@field frames { payload: string, is_text: boolean }[]

--- Reads what of an answer may be kept: it has succeeded, is public, has a time to live, and asks for nothing but frames.
---@param answer Answer
---@return KeptAnswer? nil when it may not be kept
function Freshness.read(answer)
  local headers = answer.headers
  if answer.failure or answer.status < 200 or answer.status > 299 or headers["set-cookie"] then
    return nil
  end
  local seconds = seconds_of(headers)
  local vary = seconds > 0 and vary_of(headers)
  local frames = vary and frames_of(answer)
  return frames and { seconds = seconds, vary = vary, frames = frames } or nil
end

return Freshness
