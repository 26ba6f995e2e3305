-- The ids of requests that this node has run, for 60 s: a repeat is not run again, and gets the first answer.
-- They are in shared memory, because another worker may hold the link when the repeat comes.

local cjson = require "cjson.safe"

local Seen = {}
Seen.__index = Seen

local SECONDS = 60
local RUNNING = "-" -- before the name of the worker that runs it; answers are JSON objects
local UNKNOWN = '{"results":{},"is_incomplete":true}'

---@class Seen
---@field private dict table a shared dictionary of ngx_lua
---@field private own string
---@field private is_living fun(worker: string): boolean

---@param parts { dict: table, own: string, is_living: fun(worker: string): boolean } `own`: the name of this worker
---@return Seen
function Seen.new(parts) return setmetatable({ dict = parts.dict, own = parts.own, is_living = parts.is_living }, Seen) end

--- Claims a request for the caller, who must run it.
---@param id string of the request
---@return boolean is_new false when it was claimed before
---@return string? answer that was kept, or that it is unknown because the worker that ran it was killed; nil while it is running
function Seen:claim(id)
  local ok, err = self.dict:add(id, RUNNING .. self.own, SECONDS)
  if ok or err ~= "exists" then
    return true
  end
  local answer = self.dict:get(id)
  if answer and answer:sub(1, 1) == RUNNING then
    answer = not self.is_living(answer:sub(2)) and UNKNOWN or nil
  end
  return false, answer
end

--- Gives a claim back, because the request was not run.
---@param id string
function Seen:release(id) self.dict:delete(id) end

--- Keeps the answer to a claimed request. If its only socket had no room for a message, a repeat is run.
---@param id string
---@param facts { results: table[] } that JSON can represent
function Seen:keep(id, facts)
  for _, result in ipairs(facts.results) do
    if result.is_undone then
      return self:release(id)
    end
  end
  self.dict:set(id, cjson.encode(facts), SECONDS)
end

return Seen
