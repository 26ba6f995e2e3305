-- Idempotency keys: a request whose key was seen within 60 s gets the first answer again, and nothing is done twice.
-- Answers are small: counts, and the texts of refusals. Memory for the answer is reserved before anything is done.
-- No other answer is evicted for it: without memory the request is refused.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Problem = require "framegate.control.problem"
local Process = require "framegate.runtime.process"

local Idempotency = {}

local answers = ngx.shared.answers

local KEPT_SECONDS = 60
local RUNNING_SECONDS = 600 -- a large batch may run long
local WAIT_SECONDS, STEP_SECONDS = 10, 0.01
local CLEAN_SECONDS = 1 -- between two searches for answers that have expired

-- Reserved bytes for an answer with counts, and for each part of a batch.
-- A longer answer is kept if memory is left, or else without its body.
local ANSWER_BYTES, PART_BYTES = 112, 48

-- An entry begins with one of these. After RUNNING follows the process id of the worker, after DONE the fingerprint
-- (16 bytes) and JSON.
local RUNNING, DONE = "-", "+"

local cleaned_at = 0

local function reserve(name, bytes)
  local entry = RUNNING .. ngx.worker.pid()
  entry = entry .. (" "):rep(bytes - #entry)
  local ok, err = answers:safe_add(name, entry, RUNNING_SECONDS)
  if not ok and err == "no memory" and Clock.monotonic() - cleaned_at > CLEAN_SECONDS then
    cleaned_at = Clock.monotonic()
    answers:flush_expired()
    return answers:safe_add(name, entry, RUNNING_SECONDS)
  end
  return ok, err
end

local UNREACHABLE = 503 -- a node of the cluster; a repeat reaches it, and only it

-- Drops parts that a repeat has to run again: those that only read, and those that did not reach every node.
-- Most bodies are equal, so each is kept once.
local function shorten_parts(parts)
  local short, bodies, places = {}, {}, {}
  for i, part in ipairs(parts) do
    local body = part.body
    local is_kept = not part.is_read and part.status ~= UNREACHABLE
    if is_kept and body ~= "" and not places[body] then
      bodies[#bodies + 1] = body
      places[body] = #bodies
    end
    short[i] = not is_kept and {} or { part.status, places[body] or 0, part.type }
  end
  return { parts = short, bodies = bodies }
end

local function lengthen_parts(short)
  local parts = {}
  for i, part in ipairs(short.parts) do
    local status, place, type = unpack(part)
    parts[i] = status and { status = status, body = place == 0 and "" or short.bodies[place], type = type } or nil
  end
  return parts
end

local function without_bodies(answer)
  local bare = { status = answer.status, body = "" }
  if answer.parts then
    bare.parts = {}
    for i, part in ipairs(answer.parts) do
      bare.parts[i] = { status = part.status, body = "", is_read = part.is_read }
    end
  end
  return bare
end

local function entry_of(answer, fingerprint)
  local kept = answer.parts and shorten_parts(answer.parts)
    or { status = answer.status, body = answer.body, type = answer.type, headers = answer.headers }
  return DONE .. fingerprint .. cjson.encode(kept)
end

-- An entry no longer than the reserved one is padded, so that it fits the same memory.
local function keep(name, bytes, entry)
  return #entry <= bytes and answers:safe_set(name, entry .. (" "):rep(bytes - #entry), KEPT_SECONDS)
    or answers:safe_set(name, entry, KEPT_SECONDS)
end

local function run(name, bytes, request)
  local ok, answer = xpcall(request.act, debug.traceback)
  if not ok then
    answers:delete(name)
    error(answer, 0)
  end
  if answer.status == UNREACHABLE then
    answers:delete(name)
    return answer
  end
  if not keep(name, bytes, entry_of(answer, request.fingerprint)) then
    keep(name, bytes, entry_of(without_bodies(answer), request.fingerprint))
  end
  return answer
end

local function repeat_answer(entry, request)
  local first = #DONE + #request.fingerprint
  if entry:sub(#DONE + 1, first) ~= request.fingerprint then
    return Problem.new(422, "this idempotency-key came before with another request")
  end
  local kept = cjson.decode(entry:sub(first + 1))
  return kept.parts and request.act(lengthen_parts(kept)) or kept
end

-- Whether the worker that runs the first request was killed.
local function is_abandoned(entry)
  local pid = tonumber(entry:sub(1, #RUNNING) == RUNNING and entry:match("%d+", #RUNNING + 1) or nil)
  return pid ~= nil and Process.is_dead(pid)
end

--- Runs a request once for its key. Waits up to 10 s while the first request with the key still runs.
---@param key string of the header idempotency-key
---@param request { fingerprint: string, parts: integer, act: fun(kept: table[]?): table } `fingerprint`: 16-byte hash
--- of the request; `parts`: about how many a batch has; `act` runs it, except parts of a batch that are `kept`
---@return table answer with status 409, 422 or 503 when it was not run
function Idempotency.once(key, request)
  local name, bytes = ngx.sha1_bin(key), ANSWER_BYTES + request.parts * PART_BYTES
  local deadline = Clock.monotonic() + WAIT_SECONDS
  repeat
    local ok, err = reserve(name, bytes)
    if ok then
      return run(name, bytes, request)
    elseif err ~= "exists" then
      return Problem.new(
        503,
        "too many requests with an idempotency-key within 60 s: nothing was done",
        { ["Retry-After"] = "5" }
      )
    end
    local entry = answers:get(name)
    if entry and entry:sub(1, #DONE) == DONE then
      return repeat_answer(entry, request)
    elseif entry and is_abandoned(entry) then
      return Problem.new(
        409,
        "the worker with the first request of this idempotency-key was killed: its outcome is not known"
      )
    end
    ngx.sleep(STEP_SECONDS) -- the first request still runs
  until Clock.monotonic() > deadline
  return Problem.new(409, "the first request with this idempotency-key has no answer yet")
end

return Idempotency
