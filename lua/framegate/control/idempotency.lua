-- Requests that are repeated: one with an idempotency-key that was seen within 60 s gets the first answer again, and does
-- nothing twice.

local cjson = require "cjson.safe"
local Problem = require "framegate.control.problem"

local Idempotency = {}

local answers = ngx.shared.answers
local KEPT_SECONDS = 60
local WAIT_SECONDS, STEP_SECONDS = 10, 0.01

local function again(kept, fingerprint)
  local record = cjson.decode(kept)
  if record.fingerprint ~= fingerprint then
    return Problem.new(422, "this idempotency-key came before with another request")
  end
  return record.answer
end

-- The first request is still being carried out.
local function await(key, fingerprint)
  local deadline = ngx.now() + WAIT_SECONDS
  repeat
    ngx.sleep(STEP_SECONDS)
    local kept = answers:get(key)
    if kept and kept ~= "" then
      return again(kept, fingerprint)
    end
  until not kept or ngx.now() > deadline
  return Problem.new(409, "the first request with this idempotency-key has no answer yet")
end

--- Carries out a request once for its key.
---@param key string of the header idempotency-key
---@param fingerprint string what makes the request this one
---@param act fun(): table gives the answer
---@return table answer
function Idempotency.once(key, fingerprint, act)
  local is_first = answers:add(key, "", KEPT_SECONDS)
  if not is_first then
    local kept = answers:get(key)
    return kept and kept ~= "" and again(kept, fingerprint) or await(key, fingerprint)
  end
  local ok, answer = xpcall(act, debug.traceback)
  if not ok then
    answers:delete(key)
    error(answer, 0)
  end
  answers:set(key, cjson.encode { fingerprint = fingerprint, answer = answer }, KEPT_SECONDS)
  return answer
end

return Idempotency
