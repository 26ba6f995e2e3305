-- Answers to equal questions, in memory that all workers share. The least recently used ones go when it is full.
--
-- A question is a text: everything of an event on which its answer may depend, but headers of the handshake. An answer with
-- `vary` is found in two steps, as in HTTP (RFC 9111 section 4.1): the entry of the question names the headers, and the
-- answer is the entry of the question with their values.

local Freshness = require "framegate.dispatch.freshness"
local PASSED = require "framegate.protocol.passed_headers"
local Percent = require "framegate.protocol.percent"

---@class AnswerCache
local AnswerCache = {}
AnswerCache.__index = AnswerCache

local LARGEST_PART = 16 -- an entry takes at most this part of the memory, so that it does not push out all others
local TEXT, BINARY, VARY = "t", "b", "v"
local FORWARDED = { "host", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-for" }
local TARGET = { "host", "x-forwarded-proto", "x-forwarded-host" } -- with the path, the target URI
-- They are the same for all askers of a question, or for all events.
local IN_QUESTION = { "ce-user", "ce-state", "ce-type", "content-type", "accept-encoding" }

---@param parts { dict: table, bytes: integer, headers: string[] } `dict`: a shared dictionary of ngx_lua of this size;
---  `headers`: HANDSHAKE_HEADERS
---@return AnswerCache
function AnswerCache.new(parts)
  local self = setmetatable({ dict = parts.dict, most = parts.bytes / LARGEST_PART }, AnswerCache)
  self.is_known, self.is_fixed = {}, {}
  self.targets = setmetatable({}, { __mode = "k" }) -- by connection
  for _, names in ipairs { PASSED, FORWARDED, parts.headers } do
    for _, name in ipairs(names) do
      self.is_known[name] = true
    end
  end
  for _, name in ipairs(IN_QUESTION) do
    self.is_fixed[name] = true
  end
  return self
end

-- Adds the values of header lines of the handshake, each with a mark before it; "" for one that is not there.
local function add_values(pieces, lines, names)
  lines = "\n" .. lines
  for _, name in ipairs(names) do
    local _, last = lines:find("\n" .. name .. ": ", 1, true)
    pieces[#pieces + 1] = last and "=" .. lines:sub(last + 1, lines:find("\r", last, true) - 1) or ""
  end
end

-- The values of TARGET, which a connection keeps: only a client that comes back brings other header lines.
local function target_of(self, connection)
  local known = self.targets[connection]
  if not known or known.lines ~= connection.handshake then
    local pieces = {}
    add_values(pieces, connection.handshake, TARGET)
    known = { lines = connection.handshake, text = table.concat(pieces, "\n") }
    self.targets[connection] = known
  end
  return known.text
end

--- Writes the question that a message asks. No value but the message can contain a line end, and it comes last.
---@param connection Connection
---@param payload string
---@param is_text boolean
---@return string? question nil when it is too large to be kept
function AnswerCache:question(connection, payload, is_text)
  if #payload > self.most then
    return nil
  end
  local options = connection.options
  local kind = is_text and TEXT .. (options.text_mode or "") or BINARY -- with the payload, they make the content type
  local pieces = { "q", options.handler or "", connection.path, kind }
  pieces[#pieces + 1] = connection.user and "=" .. Percent.encode(connection.user) or ""
  pieces[#pieces + 1] = connection.state and "=" .. connection.state or ""
  pieces[#pieces + 1] = target_of(self, connection)
  pieces[#pieces + 1] = payload
  return table.concat(pieces, "\n")
end

local function variant(question, names, lines)
  local pieces, list = { "v" .. names }, {}
  for name in names:gmatch "[^,]+" do
    list[#list + 1] = name
  end
  add_values(pieces, lines, list)
  pieces[#pieces + 1] = question
  return table.concat(pieces, "\n")
end

-- A piece of an entry: its kind, its length, and its bytes. LuaJIT compiles this, and would not compile patterns.
local function piece(kind, text) return ("%s%010d%s"):format(kind, #text, text) end

local HEAD = 11 -- bytes of kind and length

local function read_piece(entry, place)
  local first = place + HEAD
  local behind = first + tonumber(entry:sub(place + 1, first - 1))
  return entry:sub(place, place), entry:sub(first, behind - 1), behind
end

-- The name of an entry is a digest. Its question is in it, so one with the same digest is never taken for another.
local function read(self, question)
  local entry = self.dict:get(ngx.sha1_bin(question))
  if entry then
    local kind, text, behind = read_piece(entry, 1)
    if text == question then
      return kind, entry:sub(behind)
    end
  end
end

local function write(self, question, kind, content, seconds)
  local entry = piece(kind, question) .. content
  return #entry <= self.most and self.dict:set(ngx.sha1_bin(question), entry, seconds) == true
end

local function pack(frames)
  local pieces = {}
  for i, frame in ipairs(frames) do
    pieces[i] = piece(frame.is_text and TEXT or BINARY, frame.payload)
  end
  return table.concat(pieces)
end

local function unpack_frames(text)
  local frames, place = {}, 1
  while place <= #text do
    local kind, payload, behind = read_piece(text, place)
    frames[#frames + 1] = { payload = payload, is_text = kind == TEXT }
    place = behind
  end
  return frames
end

--- Finds the answer to a question.
---@param question string
---@param lines string header lines of the handshake of who asks
---@return { payload: string, is_text: boolean }[]? frames nil when no answer is kept, or none any more
---@return string variant the question, with the values of the headers on which its last answer depended
function AnswerCache:find(question, lines)
  local kind, content = read(self, question)
  if kind == VARY then
    question = variant(question, content, lines)
    kind, content = read(self, question)
  end
  return kind and unpack_frames(content) or nil, question
end

-- The names in `vary` that make a difference, in one text; nil if one is of a header that events do not carry.
local function differing(self, names)
  local differ = {}
  for _, name in ipairs(names) do
    if not self.is_known[name] and not self.is_fixed[name] then
      return nil
    elseif self.is_known[name] then
      differ[#differ + 1] = name
    end
  end
  return table.concat(differ, ",")
end

--- Keeps an answer, if it allows that.
---@param question string
---@param lines string header lines of the handshake of the event
---@param answer Answer
---@return boolean is_kept
function AnswerCache:keep(question, lines, answer)
  local kept = Freshness.read(answer)
  local names = kept and differing(self, kept.vary)
  if not names then
    return false
  elseif names == "" then
    return write(self, question, "a", pack(kept.frames), kept.seconds)
  end
  return write(self, variant(question, names, lines), "a", pack(kept.frames), kept.seconds)
    and write(self, question, VARY, names, kept.seconds)
end

--- Claims a question for this worker, which sends the event. Others wait for its answer.
---@param variant_question string as `find` gives it
---@param owner string name of the worker
---@param seconds number for which the claim lasts, if it is not released
---@return boolean is_claimed
function AnswerCache:claim(variant_question, owner, seconds)
  local ok, err = self.dict:add("claim" .. ngx.sha1_bin(variant_question), owner, seconds)
  return ok or err ~= "exists"
end

--- Who has claimed a question.
---@param variant_question string
---@return string? owner
function AnswerCache:owner(variant_question) return self.dict:get("claim" .. ngx.sha1_bin(variant_question)) end

--- Releases a claim of this worker.
---@param variant_question string
---@param owner string
function AnswerCache:release(variant_question, owner)
  if self:owner(variant_question) == owner then
    self.dict:delete("claim" .. ngx.sha1_bin(variant_question))
  end
end

return AnswerCache
