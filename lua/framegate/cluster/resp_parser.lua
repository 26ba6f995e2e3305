-- Reads RESP3 (github.com/redis/redis-specifications, protocol/RESP3.md) from bytes that come in pieces. Pure.

local RespValue = require "framegate.cluster.resp_value"

local byte, concat, find, sub = string.byte, table.concat, string.find, string.sub
local broken, to_length, BLOBS, LINES = RespValue.broken, RespValue.to_length, RespValue.BLOBS, RespValue.LINES

---@class RespParser
local RespParser = {}
RespParser.__index = RespParser

local MAX_LINE = 16384 -- bytes of a simple string, an error or a number
local MAX_BYTES = 512 * 1024 * 1024 -- of a blob: the default of Redis itself (proto-max-bulk-len)
local MAX_ITEMS = 1024 * 1024 -- of an array, a set or a push, and half of a map
local MAX_DEPTH = 32

-- By type: how many values one counted item has.
local AGGREGATES = { ["*"] = 1, ["~"] = 1, [">"] = 1, ["%"] = 2, ["|"] = 2 }

--- Makes a parser.
---@param limits { bytes: integer?, items: integer? }? the largest blob, and the longest aggregate
---@return RespParser
function RespParser.new(limits)
  limits = limits or {}
  return setmetatable({
    max_bytes = limits.bytes or MAX_BYTES,
    max_items = limits.items or MAX_ITEMS,
    buffer = "",
    position = 1, -- in the buffer, of the first byte that was not read
    pieces = {}, -- what was fed after the buffer
    count = 0,
    available = 0, -- bytes that were not read
    open = {}, -- aggregates that are not complete, outermost first
    blob = nil, -- the blob that is not complete: { type, length }
  }, RespParser)
end

--- Gives bytes to the parser.
---@param bytes string
function RespParser:feed(bytes)
  self.count = self.count + 1
  self.pieces[self.count] = bytes
  self.available = self.available + #bytes
end

local function gather(self)
  if self.count > 0 then
    self.pieces[0] = sub(self.buffer, self.position)
    self.buffer, self.position = concat(self.pieces, "", 0, self.count), 1
    self.pieces, self.count = {}, 0
  end
end

local function read_line(self)
  local last = find(self.buffer, "\r\n", self.position, true)
  if not last then
    gather(self)
    last = find(self.buffer, "\r\n", self.position, true)
  end
  local length = (last or #self.buffer + 1) - self.position
  if length > MAX_LINE then
    broken("a line that is too long")
  end
  if not last then
    return nil
  end
  local line = sub(self.buffer, self.position, last - 1)
  self.position, self.available = last + 2, self.available - length - 2
  return line
end

-- A blob is joined once, when all of it has come.
local function read_blob(self)
  local blob = self.blob
  if self.available < blob.length + 2 then
    return nil
  end
  local last = self.position + blob.length - 1
  if last + 2 > #self.buffer then
    gather(self)
    last = blob.length
  end
  if byte(self.buffer, last + 1) ~= 13 or byte(self.buffer, last + 2) ~= 10 then
    broken("a blob that is longer than its length")
  end
  local text = sub(self.buffer, self.position, last)
  self.position, self.available, self.blob = last + 3, self.available - blob.length - 2, nil
  return text
end

local function open_aggregate(self, type, count)
  local depth = #self.open
  if depth == MAX_DEPTH then
    broken("values that are nested too deeply")
  end
  local list = { type = type, missing = count * AGGREGATES[type], count = 0, items = {} }
  self.open[depth + 1] = list
end

local function put(list, value)
  list.missing = list.missing - 1
  if list.type ~= "%" and list.type ~= "|" then
    list.count = list.count + 1
    list.items[list.count] = value
  elseif list.key == nil then
    list.key = value
    if value ~= value then
      broken("a map with NaN as a key")
    end
  else
    list.items[list.key], list.key = value, nil
  end
end

-- Closes the aggregates that a value completes. A push inside another value is complete by itself.
local function complete(self, value)
  local open = self.open
  while true do
    local list = open[#open]
    if not list then
      return value, "reply"
    end
    if value ~= nil then
      put(list, value)
    end
    if list.missing > 0 then
      return nil
    end
    open[#open] = nil
    if list.type == ">" then
      return list.items, "push"
    elseif list.type == "|" then
      value = nil -- attributes are dropped: what they belong to comes next
      if not open[#open] then
        return nil
      end
    else
      value = list.items
    end
  end
end

local function read_value(self)
  if self.blob then
    local type, text = self.blob.type, read_blob(self)
    return text and BLOBS[type](text)
  end
  local line = read_line(self)
  if not line then
    return nil
  end
  local type, rest = sub(line, 1, 1), sub(line, 2)
  if LINES[type] then
    return LINES[type](rest)
  elseif (type == "$" or type == "*") and rest == "-1" then -- the null of RESP2, which a Sentinel uses
    return RespValue.null
  elseif BLOBS[type] then
    self.blob = { type = type, length = to_length(rest, self.max_bytes) }
    return read_value(self)
  elseif AGGREGATES[type] then
    open_aggregate(self, type, to_length(rest, self.max_items))
    return nil, true
  end
  return broken("a value of the unknown type %q", type)
end

local function next_value(self)
  while true do
    local value, is_open = read_value(self)
    if value == nil and not is_open then
      return nil
    end
    local list = self.open[#self.open]
    if value ~= nil or list.missing == 0 then
      local result, kind = complete(self, value)
      if kind then
        return result, kind
      end
    end
  end
end

--- Takes the next complete value from what was fed.
--- A string, a number (integers beyond 2^53 lose digits), a boolean, Resp.null, an error (Resp.is_error), a list, or a
--- table by key. Big numbers are strings. Streamed values are refused.
---@return any value
---@return "reply"|"push"|nil kind nil when no value is complete
---@return string? broken what is not RESP3 in the bytes; nothing can be read after it
function RespParser:next()
  if self.broken then
    return nil, nil, self.broken
  end
  local ok, value, kind = pcall(next_value, self)
  if ok then
    return value, kind
  end
  if type(value) ~= "table" then
    error(value, 0)
  end
  self.broken = value.broken
  return nil, nil, self.broken
end

return RespParser
