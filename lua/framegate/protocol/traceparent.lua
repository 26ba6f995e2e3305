-- The header traceparent (W3C Trace Context, section 3.2): `00-<32 digits>-<16 digits>-<flags>`.

local bit = require "bit"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

---@class Traceparent
---@field trace_id string 32 hexadecimal digits
---@field span_id string 16 hexadecimal digits
---@field is_sampled boolean

local Traceparent = {}

local FORM = "^(%x%x)%-(" .. ("%x"):rep(32) .. ")%-(" .. ("%x"):rep(16) .. ")%-(%x%x)(.?)"
local NO_TRACE, NO_SPAN = ("0"):rep(32), ("0"):rep(16)
local ONE = byte "1"

--- Reads a value. Newer versions than 00 may have more behind the flags.
---@param text string?
---@return Traceparent? traceparent nil if it is not valid
function Traceparent.read(text)
  local version, trace_id, span_id, flags, more = match(text or "", FORM)
  if
    not version
    or version == "ff"
    or trace_id == NO_TRACE
    or span_id == NO_SPAN
    or find(text, "%u")
    or more ~= "" and (version == "00" or more ~= "-")
  then
    return nil
  end
  return { trace_id = trace_id, span_id = span_id, is_sampled = bit.band(tonumber(flags, 16), 1) == 1 }
end

--- The id of the trace in a value that this gateway has made.
---@param text string
---@return string
function Traceparent.trace_id(text) return sub(text, 4, 35) end

--- The id of the span in a value that this gateway has made.
---@param text string
---@return string
function Traceparent.span_id(text) return sub(text, 37, 52) end

--- Whether a value that this gateway has made is sampled.
---@param text string
---@return boolean
function Traceparent.is_sampled(text) return byte(text, 55) == ONE end

return Traceparent
