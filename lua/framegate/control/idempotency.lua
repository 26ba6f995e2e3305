-- Requests that are repeated: one with an idempotency-key that was seen within 60 s gets the first answer again, and does
-- nothing twice. What is kept is small: counts, and the words of refusals. Room for it is taken before anything is done, and
-- nothing is thrown out for it: without room the request is refused.

local cjson = require "cjson.safe"
local Clock = require "framegate.runtime.clock"
local Problem = require "framegate.control.problem"

local Idempotency = {}

local answers = ngx.shared.answers

local KEPT_SECONDS = 60
local UNDER_WAY_SECONDS = 600 -- a large batch may take its time
local WAIT_SECONDS, STEP_SECONDS = 10, 0.01
local CLEAN_SECONDS = 1 -- between two searches for answers that have expired

-- Bytes: an answer with counts, and each part of a batch. What is longer is kept where there is room, else without its body.
local ANSWER_BYTES, PART_BYTES = 112, 48

-- An entry begins with one of these; the second is followed by the fingerprint (16 bytes) and JSON.
local UNDER_WAY, DONE = "-", "+"

local cleaned_at = 0

local function reserve(name, bytes)
  local entry = UNDER_WAY .. (" "):rep(bytes - #UNDER_WAY)
  local ok, err = answers:safe_add(name, entry, UNDER_WAY_SECONDS)
  if not ok and err == "no memory" and Clock.monotonic() - cleaned_at > CLEAN_SECONDS then
    cleaned_at = Clock.monotonic()
    answers:flush_expired()
    return answers:safe_add(name, entry, UNDER_WAY_SECONDS)
  end
  return ok, err
end

-- Parts that only read are not kept: a repeat reads again. Most bodies are the same, so each is kept once.
local function shorten_parts(parts)
  local short, bodies, places = {}, {}, {}
  for i, part in ipairs(parts) do
    local body = part.body
    if not part.is_read and body ~= "" and not places[body] then
      bodies[#bodies + 1] = body
      places[body] = #bodies
    end
    short[i] = part.is_read and {} or { part.status, places[body] or 0, part.type }
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

-- An entry as long as the one that is there takes its place.
local function keep(name, bytes, entry)
  return #entry <= bytes and answers:safe_set(name, entry .. (" "):rep(bytes - #entry), KEPT_SECONDS)
    or answers:safe_set(name, entry, KEPT_SECONDS)
end

local function carry_out(name, bytes, request)
  local ok, answer = xpcall(request.act, debug.traceback)
  if not ok then
    answers:delete(name)
    error(answer, 0)
  end
  if not keep(name, bytes, entry_of(answer, request.fingerprint)) then
    keep(name, bytes, entry_of(without_bodies(answer), request.fingerprint))
  end
  return answer
end

local function again(entry, request)
  local first = #DONE + #request.fingerprint
  if entry:sub(#DONE + 1, first) ~= request.fingerprint then
    return Problem.new(422, "this idempotency-key came before with another request")
  end
  local kept = cjson.decode(entry:sub(first + 1))
  return kept.parts and request.act(lengthen_parts(kept)) or kept
end

--- Carries out a request once for its key.
---@param key string of the header idempotency-key
---@param request { fingerprint: string, parts: integer, act: fun(kept: table[]?): table } `fingerprint`: 16 bytes of what
--- makes the request this one; `parts`: of a batch, about; `act` carries it out, all but the parts that are kept by place
---@return table answer
function Idempotency.once(key, request)
  local name, bytes = ngx.sha1_bin(key), ANSWER_BYTES + request.parts * PART_BYTES
  local deadline = Clock.monotonic() + WAIT_SECONDS
  repeat
    local ok, err = reserve(name, bytes)
    if ok then
      return carry_out(name, bytes, request)
    elseif err ~= "exists" then
      return Problem.new(
        503,
        "too many requests with an idempotency-key within 60 s: nothing was done",
        { ["Retry-After"] = "5" }
      )
    end
    local entry = answers:get(name)
    if entry and entry:sub(1, #DONE) == DONE then
      return again(entry, request)
    end
    ngx.sleep(STEP_SECONDS) -- the first request is still being carried out
  until Clock.monotonic() > deadline
  return Problem.new(409, "the first request with this idempotency-key has no answer yet")
end

return Idempotency
