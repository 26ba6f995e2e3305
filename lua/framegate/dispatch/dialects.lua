-- The dialects of handlers: how an event is written for them, and how their answer is read.
-- A location chooses one with `set $ws_protocol`, or else HANDLER_PROTOCOL does. How the bytes reach a handler is another
-- matter: http.lua and fastcgi.lua carry every dialect.

local Aws = require "framegate.dispatch.aws"
local Grip = require "framegate.dispatch.grip"
local OwnDialect = require "framegate.dispatch.own_dialect"

local Dialects = {}

---@class Dialect
---@field HAS_ERROR_FRAMES boolean whether a client learns in a frame that its message failed; if not, its socket is dropped
---@field IS_POLLED boolean whether an alarm is a request without events, which anybody may cause
---@field headers fun(headers: table<string, string|string[]>): string[] names of those of a handshake that its events carry
---@field has_word fun(event: Event): boolean whether it can express an event; one that it cannot counts as answered
---@field request fun(event: Event, signer: Signer?): string[] pieces of a request, the last of which is its body
---@field stream fun(event: Event, response: HttpResponse): StreamParser? what reads an answer that streams
---@field answer fun(event: Event, response: { status: any, headers: any, body: any }): Answer
---@field error_frame fun(event: Event, error: { status: integer, name: string?, message: string, trace_id: string? }): string
--- the text that a client gets in place of an answer, if HAS_ERROR_FRAMES

local BY_NAME = { aws = Aws, grip = Grip }

--- The name of a dialect as Options have it.
---@param name string? of the location
---@param default string of HANDLER_PROTOCOL
---@return string? name nil for framegate's own
function Dialects.name(name, default)
  local chosen = (name == nil or name == "") and default or name
  return BY_NAME[chosen] and chosen or nil
end

--- Finds a dialect.
---@param name string? as `name` gives it
---@return Dialect
function Dialects.named(name) return BY_NAME[name] or OwnDialect end

--- The dialect in which a socket speaks with its handler.
---@param connection Connection|Timer|Orphan
---@return Dialect
function Dialects.of(connection) return BY_NAME[connection.options.protocol] or OwnDialect end

return Dialects
