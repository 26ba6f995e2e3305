-- Runs a request in the workers of this node, and only once if it has a key: a repeat gets the first results.
-- The repeat may come over any node, because the key is also the id of the request to the other nodes.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"

---@class OnceHere
local OnceHere = {}
OnceHere.__index = OnceHere

local WAIT_SECONDS, STEP_SECONDS = 5, 0.01

---@param parts { bus: Bus, seen: Seen }
---@return OnceHere
function OnceHere.new(parts) return setmetatable({ bus = parts.bus, seen = parts.seen }, OnceHere) end

-- The results of the first request with this key, when it has finished; or nil when the caller must run it.
local function results_of_first(self, key)
  local deadline = Clock.monotonic() + WAIT_SECONDS
  repeat
    local is_new, answer = self.seen:claim(key)
    if is_new then
      return nil
    elseif answer then
      return cjson.decode(answer)
    end
    ngx.sleep(STEP_SECONDS)
  until Clock.monotonic() > deadline
  return { results = {}, is_incomplete = true }
end

local function once(self, key, run)
  local first = key and results_of_first(self, key)
  if first then
    return first
  end
  local ok, facts = xpcall(run, debug.traceback)
  if not ok then
    if key then
      self.seen:release(key)
    end
    error(facts, 0)
  end
  if key then
    self.seen:keep(key, facts)
  end
  return facts
end

--- Runs a request in all workers.
---@param request { op: string, args: table, payload: string, key: string?, prepare: (fun(): any)?, on_send: fun()? } `prepare`
--- runs before, and as often as the request; `on_send` as for Bus:call_all
---@return table[] results
---@return boolean is_complete false when a worker did not answer
---@return any prepared what `prepare` returned, which JSON can represent
function OnceHere:ask_all(request)
  local facts = once(self, request.key, function()
    local prepared = request.prepare and request.prepare()
    local results, is_complete = self.bus:call_all(request.op, request.args, request.payload, request.on_send)
    return { results = results, is_incomplete = not is_complete or nil, prepared = prepared }
  end)
  return facts.results, not facts.is_incomplete, facts.prepared
end

--- Runs a request in one worker.
---@param worker string
---@param request { op: string, args: table, payload: string, key: string? }
---@return table? result
---@return string? err "gone" or "timeout"
function OnceHere:ask(worker, request)
  local facts = once(self, request.key, function()
    local result, err = self.bus:call(worker, request.op, request.args, request.payload)
    return { results = { result }, err = err, is_incomplete = err == "timeout" or nil }
  end)
  return facts.results[1], facts.err or facts.is_incomplete and "timeout" or nil
end

return OnceHere
