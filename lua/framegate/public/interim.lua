-- Remembers which upstream sends interim responses (RFC 9110 section 15.2), such as 103.
-- nginx before 1.29 mistakes the first one for the final head, and forwards everything after it as an endless body.
-- The client gets both responses, but sees the end only when the connection closes.
-- So an upstream that has sent an interim response is asked to close after each response.

local Interim = {}

local gateway = ngx.shared.gateway

--- The value of the Connection header for a request to an upstream.
---@param upstream "site"|"handler"
---@return string
function Interim.connection(upstream) return gateway:get("interim:" .. upstream) and "close" or "" end

--- Records an interim response. Runs in the header filter.
---@param upstream "site"|"handler"
function Interim.note(upstream)
  local status = ngx.status
  if status >= 100 and status < 200 and status ~= ngx.HTTP_SWITCHING_PROTOCOLS then
    gateway:set("interim:" .. upstream, true)
  end
end

return Interim
