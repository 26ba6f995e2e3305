-- Close codes (RFC 6455 section 7.4), and the payload of close frames.

local bit = require "bit"
local Utf8 = require "framegate.protocol.utf8"

local CloseCode = {}

CloseCode.NORMAL = 1000
CloseCode.GOING_AWAY = 1001
CloseCode.PROTOCOL_ERROR = 1002
CloseCode.NO_STATUS = 1005 -- never sent: a close frame without a code
CloseCode.ABNORMAL = 1006 -- never sent: no close frame came
CloseCode.INVALID_DATA = 1007
CloseCode.POLICY_VIOLATION = 1008
CloseCode.TOO_BIG = 1009
CloseCode.INTERNAL_ERROR = 1011
CloseCode.SERVICE_RESTART = 1012
CloseCode.TRY_AGAIN_LATER = 1013

--- The codes that a handler may close with, in words, to follow "code is".
CloseCode.SENDABLE = "1000 or 3000 to 4999"

--- A control frame holds 125 bytes, two of which are the code (RFC 6455 section 5.5).
CloseCode.MAX_REASON_BYTES = 123

--- Whether a peer may send this code: those of the IANA registry, and 3000 to 4999.
---@param code integer
---@return boolean
function CloseCode.is_receivable(code)
  return (code >= 1000 and code <= 1003) or (code >= 1007 and code <= 1014) or (code >= 3000 and code <= 4999)
end

--- Whether a handler may close with this code (SENDABLE). The rule is that of WebSocket.close() in browsers.
---@param code integer
---@return boolean
function CloseCode.is_sendable(code) return code == 1000 or (code >= 3000 and code <= 4999 and code % 1 == 0) end

local WORTH_RETRYING = { [1001] = true, [1006] = true, [1011] = true, [1012] = true, [1013] = true, [1014] = true }

--- Whether another connection may succeed after this code. `worthRetrying` of framegate/client is the same rule.
---@param code integer
---@return boolean
function CloseCode.is_worth_retrying(code) return WORTH_RETRYING[code] ~= nil end

--- Encodes the payload of a close frame. A reason that is too long is cut between characters.
---@param code integer? nil for an empty payload
---@param reason string?
---@return string
function CloseCode.payload(code, reason)
  if not code then
    return ""
  end
  reason = reason or ""
  while #reason > CloseCode.MAX_REASON_BYTES or not Utf8.is_valid(reason) do
    reason = reason:sub(1, math.min(#reason - 1, CloseCode.MAX_REASON_BYTES))
  end
  return string.char(bit.rshift(code, 8), bit.band(code, 0xFF)) .. reason
end

--- Decodes the payload of a received close frame (RFC 6455 section 5.5.1).
---@param payload string
---@return integer? code NO_STATUS when there is none; nil when the connection must fail
---@return string|integer reason_or_failure the reason, or the code to fail with
---@return string? message what is wrong with the payload
function CloseCode.read(payload)
  if #payload == 0 then
    return CloseCode.NO_STATUS, ""
  end
  if #payload == 1 then
    return nil, CloseCode.PROTOCOL_ERROR, "a close code has two bytes"
  end
  local high, low = payload:byte(1, 2)
  local code, reason = high * 256 + low, payload:sub(3)
  if not CloseCode.is_receivable(code) then
    return nil, CloseCode.PROTOCOL_ERROR, "close code " .. code .. " may not be sent"
  end
  if not Utf8.is_valid(reason) then
    return nil, CloseCode.INVALID_DATA, "a close reason is UTF-8"
  end
  return code, reason
end

return CloseCode
