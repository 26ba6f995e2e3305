-- The wire format of Redis: RESP3 (github.com/redis/redis-specifications, protocol/RESP3.md). Pure.
-- lua-resty-redis reads one reply for one command, so it cannot carry commands and pushes on one connection.

local RespParser = require "framegate.cluster.resp_parser"
local RespValue = require "framegate.cluster.resp_value"

local concat, format = table.concat, string.format

local Resp = {}

--- What stands for null in a reply. It is the same value as `ngx.null`, and true in a condition.
Resp.null = RespValue.null

local headers = {} -- of blobs, by their length

local function blob_header(length)
  local header = headers[length]
  if not header then
    header = "$" .. length .. "\r\n"
    headers[length] = length < 4096 and header or nil
  end
  return header
end

local function text_of(value)
  if type(value) ~= "number" then
    return value
  end
  return value % 1 == 0 and format("%.0f", value) or format("%.17g", value)
end

--- Appends a command to a list of pieces. The pieces are not joined, because LuaJIT would keep each result as a string.
---@param pieces string[]
---@param count integer how many pieces there are
---@param command (string|number)[] name and arguments
---@return integer count
---@return integer bytes of the command
function Resp.append(pieces, count, command)
  local bytes = 0
  local function add(piece)
    count = count + 1
    pieces[count], bytes = piece, bytes + #piece
  end
  add("*" .. #command .. "\r\n")
  for _, value in ipairs(command) do
    local text = text_of(value)
    add(blob_header(#text))
    add(text)
    add "\r\n"
  end
  return count, bytes
end

--- Encodes a command.
---@param command (string|number)[] name and arguments
---@return string
function Resp.encode(command)
  local pieces = {}
  Resp.append(pieces, 0, command)
  return concat(pieces)
end

--- Whether a value of a reply is an error.
---@param value any
---@return boolean
function Resp.is_error(value) return RespValue.is_error(value) end

--- Makes a parser of replies and pushes.
---@param limits { bytes: integer?, items: integer? }? the largest blob, and the longest aggregate
---@return RespParser
function Resp.parser(limits) return RespParser.new(limits) end

return Resp
