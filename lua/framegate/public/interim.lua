-- Interim responses (RFC 9110 section 15.2), such as 103, of a site that nginx asks. nginx before 1.29 takes the first for the
-- whole head and passes what follows, the final response too, as it comes: the client gets both, but nginx learns only from the
-- end of the connection that the answer is over. So a server that was seen to send some is asked to close after each answer.

local Interim = {}

local gateway = ngx.shared.gateway
--- The header Connection of a request.
---@param upstream "site"|"handler"
---@return string
function Interim.connection(upstream) return gateway:get("interim:" .. upstream) and "close" or "" end

--- Runs in the header filter of an answer.
---@param upstream "site"|"handler"
function Interim.note(upstream)
  local status = ngx.status
  if status >= 100 and status < 200 and status ~= ngx.HTTP_SWITCHING_PROTOCOLS then
    gateway:set("interim:" .. upstream, true)
  end
end

return Interim
