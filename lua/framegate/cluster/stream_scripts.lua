-- The scripts that run in Redis for kept topics. A topic has a stream, with ids <offset>-<milliseconds since 1970>, and a hash of
-- facts. A frame is stored and published by one script, so every node gets the frames in the order of their offsets.
--
-- Facts: `run`, the run_id of the Redis that began the epoch; `epoch`; `base`, the top when it began; `top`, the last offset.
-- Another run_id is another Redis, or one that was started again, which may lack the last frames: a new epoch begins, and
-- offsets go on behind the frames that are there. A topic lives as long as its frames may, and its facts twice as long.

local StreamScripts = {}

-- KEYS: facts, stream. ARGV: run_id, a new epoch, frames, milliseconds, milliseconds for the facts.
local OPEN = [[
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local facts = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'base', 'top')
local epoch, base, top = facts[2], tonumber(facts[3]), tonumber(facts[4])
local function text(number) return string.format('%.0f', number) end
if facts[1] ~= ARGV[1] or not top then
  if not top then
    redis.call('DEL', KEYS[2])
  end
  epoch, top = ARGV[2], top or 0
  base = top
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'epoch', epoch, 'base', text(base), 'top', text(top))
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
local function place_of(entry)
  local offset, ms = string.match(entry[1], '^(%d+)-(%d+)$')
  return tonumber(offset), tonumber(ms)
end
local oldest = now - ARGV[4]
]]

-- KEYS also: the request. ARGV also: type, except, replace, time to live of the request, frames to trim; channel, head, payload,
-- own channel, channels of nodes.
StreamScripts.KEEP = OPEN
  .. [[
local function trim_old()
  local count, trimmed = 1, 0
  repeat
    local entries, minimum = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', count), nil
    for _, entry in ipairs(entries) do
      local offset, ms = place_of(entry)
      if ms >= oldest then
        break
      end
      minimum, trimmed = offset + 1, trimmed + 1
    end
    if minimum then
      redis.call('XTRIM', KEYS[2], 'MINID', '=', text(minimum))
    end
    count = 100
  until not minimum or trimmed >= tonumber(ARGV[10])
end
local offset = tonumber(redis.call('GET', KEYS[3]))
if not offset then
  offset = top + 1
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[3], text(offset) .. '-' .. text(now),
    'type', ARGV[6], 'except', ARGV[7], 'replace', ARGV[8], 'payload', ARGV[13])
  redis.call('HSET', KEYS[1], 'top', text(offset))
  redis.call('SET', KEYS[3], text(offset), 'PX', ARGV[9])
  trim_old()
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
local place = '{"place":{"epoch":"' .. epoch .. '","offset":' .. text(offset) .. '},'
local counts = { epoch, offset, redis.call('PUBLISH', ARGV[11], place .. string.sub(ARGV[12], 2) .. '\n' .. ARGV[13]) }
local channels = {}
for i = 14, #ARGV do
  channels[#channels + 1] = ARGV[i]
end
local links = redis.call('PUBSUB', 'NUMSUB', unpack(channels))
for i = 2, #links, 2 do
  counts[#counts + 1] = links[i]
end
return counts
]]

-- ARGV also: mode, from, epoch, bytes, before. A frame counts with 10 bytes for its header. One call gives a page: what takes
-- longer would keep Redis from everything else. The fourth value is 0 when not all can be given, and 2 when there is more.
StreamScripts.READ = OPEN
  .. [[
local CHUNK, PAGE, PAGE_BYTES = 50, 500, 1048576
local mode, from, max_bytes = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[9])
local floor = top - ARGV[3] + 1
local page, bytes = {}, 0
local function frame_of(entry)
  local offset, ms = place_of(entry)
  local fields, list = {}, entry[2]
  for i = 1, #list, 2 do
    local name = list[i]
    fields[name] = list[i + 1]
  end
  return { offset, ms, fields.type, fields.except, fields.replace, fields.payload }
end
local function is_full(frame)
  return #page >= PAGE or #page > 0 and bytes + #frame[6] > PAGE_BYTES
end
local function add(frame)
  bytes = bytes + #frame[6] + 10
  if bytes > max_bytes and (mode ~= 'gap' or #page > 0) then
    return false
  end
  page[#page + 1] = frame
  return true
end
local function read_last()
  local last = ARGV[10] == '' and '+' or '(' .. ARGV[10] .. '-0'
  while #page < from do
    local wanted = math.min(from - #page, CHUNK)
    local entries = redis.call('XREVRANGE', KEYS[2], last, '-', 'COUNT', wanted)
    for _, entry in ipairs(entries) do
      local frame = frame_of(entry)
      if is_full(frame) then
        return 2
      elseif frame[1] < floor or frame[2] < oldest or not add(frame) then
        return 1
      end
      last = '(' .. entry[1]
    end
    if #entries < wanted then
      return 1
    end
  end
  return 1
end
local function read_behind()
  local next = text(from + 1)
  while true do
    local entries = redis.call('XRANGE', KEYS[2], next, '+', 'COUNT', CHUNK)
    for _, entry in ipairs(entries) do
      local frame = frame_of(entry)
      if is_full(frame) then
        return 2
      elseif not add(frame) then
        return 0
      end
      next = '(' .. entry[1]
    end
    if #entries < CHUNK then
      return 1
    end
  end
end
local function read_all_behind()
  if ARGV[8] ~= epoch or from > top or from + 1 < floor then
    return 0
  end
  local state = read_behind()
  local first, last = page[1], page[#page]
  local reached = last and last[1] or from
  local is_whole = #page == reached - from and (state == 2 or reached == top) and (not first or first[2] >= oldest)
  return is_whole and state or 0
end
local state = 1
if mode == 'last' then
  state = read_last()
elseif mode == 'after' then
  state = read_all_behind()
elseif ARGV[8] == epoch then
  read_behind()
end
return { epoch, base, top, state, state == 0 and {} or page }
]]

return StreamScripts
