-- How a lane speaks HTTP/1.1 with its handler. fastcgi.lua is the other protocol of handlers.

local Dialects = require "framegate.dispatch.dialects"
local HttpResponse = require "framegate.dispatch.http_response"

local Http = {}

Http.TAKES_BATCHES = true

--- Encodes an event as a request.
---@param event Event
---@param signer Signer?
---@return string[] pieces
function Http.request(event, signer) return Dialects.of(event.connection).request(event, signer) end

--- Reads status and headers of a response.
---@param connection HandlerConnection over which the request was sent
---@param deadline number in seconds of the monotonic clock
---@return HttpResponse?
---@return string? err of the socket, or what is wrong with the response
---@return boolean? is_garbled whether the bytes are not a response
function Http.read(connection, deadline) return HttpResponse.read(connection.socket, deadline) end

return Http
