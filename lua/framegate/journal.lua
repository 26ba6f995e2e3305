-- What is kept of the beginning and the end of sockets: counts.

local CloseCode = require "framegate.close_code"
local Counters = require "framegate.counters"

local Journal = {}

local REFUSED = Counters.place "framegate_sockets_refused_total"

--- The 101 is on its way to a socket that the handler accepted.
---@param connection Connection
function Journal.opened(connection)
  connection.has_begun = true
  Counters.opened()
end

--- A socket is gone; nothing is said of one that was not opened.
---@param connection Connection
function Journal.closed(connection)
  if connection.has_begun then
    Counters.closed(connection.close_cause or "lost", connection.close_code or CloseCode.ABNORMAL)
  end
end

--- A handshake was refused.
---@param cause string of framegate_sockets_refused_total
function Journal.refused(cause)
  Counters.count(REFUSED[cause])
end

return Journal
