-- The texts of the gateway's own in a session: the session frame, and control texts, which begin with U+0000.
-- Neither counts as a message. docs/protocol.md describes both.

local cjson = require "cjson.safe"

local Texts = {}

local NUL = "\0"

--- The first frame of every transport whose client asked for a session.
---@param facts { token: string?, key: string, is_resumed: boolean?, received: integer?, keep: number? } `token`: nil when
--- there is no session; `key`: what the client sent; `received`: messages that the gateway has; `keep`: in seconds
---@return string text JSON
function Texts.session(facts)
  return ('{"session":%s,"for":%s,"resumed":%s,"received":%d,"keep":%s}'):format(
    facts.token and cjson.encode(facts.token) or "null",
    cjson.encode(facts.key),
    tostring(facts.is_resumed == true),
    facts.received or 0,
    cjson.encode(facts.keep or 0)
  )
end

--- The control text that acknowledges messages of the client.
---@param received integer
---@return string text
function Texts.received(received) return ('%s{"received":%d}'):format(NUL, received) end

--- Marks a text of the application that begins with U+0000, so that the client does not take it for a control text.
---@param payload string
---@return string
function Texts.escape(payload) return payload:byte() == 0 and NUL .. payload or payload end

--- Reads a text that was sent in a session.
---@param text string
---@return string? payload of the application; nil for a control text
function Texts.unescape(text)
  if text:byte() ~= 0 then
    return text
  end
  return text:byte(2) == 0 and text:sub(2) or nil
end

return Texts
