-- What the bytes of a RESP3 value mean, by its type. Pure.

local cjson = require "cjson"

local find, format, sub = string.find, string.format, string.sub

local RespValue = {}

--- What stands for null in a reply. It is the same value as `ngx.null`, and true in a condition.
RespValue.null = cjson.null

--- An error reply. `code` is its first word.
---@class RespError
---@field code string such as NOSCRIPT
---@field message string all of it, without the type
local Error = {}
Error.__index = Error

--- Whether a value of a reply is an error.
---@param value any
---@return boolean
function RespValue.is_error(value) return getmetatable(value) == Error end

local function to_error(text) return setmetatable({ code = text:match "^%S*", message = text }, Error) end

--- Ends the parser with what is not RESP3. It raises a table, unlike a fault in the code.
---@param ... any arguments of string.format
function RespValue.broken(...) error({ broken = format(...) }, 0) end

local broken = RespValue.broken

--- Reads the length of a blob or of an aggregate.
---@param text string
---@param most integer
---@return integer
function RespValue.to_length(text, most)
  local length = find(text, "^%d+$") and tonumber(text)
  if not length or length > most then
    broken("a length of %.20s", text)
  end
  return length
end

local function to_number(text)
  local number = tonumber(text)
  if not number then
    broken("a number that is %.40s", text)
  end
  return number
end

local DOUBLES = { inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0, ["-nan"] = 0 / 0 }
local BOOLEANS = { t = true, f = false }

--- By type: makes a value from a line alone.
---@type table<string, fun(text: string): any>
RespValue.LINES = {
  ["+"] = function(text) return text end,
  ["-"] = to_error,
  [":"] = to_number,
  [","] = function(text) return DOUBLES[text] or to_number(text) end,
  ["("] = function(text) return text end, -- a big number stays text
  ["_"] = function() return RespValue.null end,
  ["#"] = function(text)
    if BOOLEANS[text] == nil then
      broken("a boolean that is %.20s", text)
    end
    return BOOLEANS[text]
  end,
}

--- By type: makes a value from the bytes of a blob.
---@type table<string, fun(text: string): any>
RespValue.BLOBS = {
  ["$"] = function(text) return text end,
  ["!"] = to_error,
  ["="] = function(text) return sub(text, 5) end, -- the format (`txt:`) goes
}

return RespValue
