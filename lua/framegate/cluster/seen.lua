-- The ids of requests that this node has run, for 60 s: a repeat is not run again, and gets the first answer.
-- They are in shared memory, because another worker may hold the link when the repeat comes.

local Seen = {}
Seen.__index = Seen

local SECONDS = 60
local RUNNING = ""

---@class Seen
---@field private dict table a shared dictionary of ngx_lua

---@param dict table
---@return Seen
function Seen.new(dict) return setmetatable({ dict = dict }, Seen) end

--- Claims a request for the caller, who must run it.
---@param id string of the request
---@return boolean is_new false when it was claimed before
---@return string? answer that was kept; nil while the request is running
function Seen:claim(id)
  local ok, err = self.dict:add(id, RUNNING, SECONDS)
  if ok or err ~= "exists" then
    return true
  end
  local answer = self.dict:get(id)
  return false, answer ~= RUNNING and answer or nil
end

--- Keeps the answer to a claimed request.
---@param id string
---@param answer string
function Seen:keep(id, answer) self.dict:set(id, answer, SECONDS) end

--- Gives a claim back, because the request was not run.
---@param id string
function Seen:release(id) self.dict:delete(id) end

return Seen
