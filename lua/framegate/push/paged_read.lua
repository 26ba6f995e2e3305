-- Reads the frames of a kept topic from Redis page by page, because one long read would keep Redis from everything else.
-- The last frames are read backwards from the end, and those behind a position forwards, up to the end of then.

---@class PagedRead
local PagedRead = {}
PagedRead.__index = PagedRead

local HEADER_BYTES = 10 -- as cluster/stream_scripts.lua counts a frame

---@param wanted StreamWanted
---@param ask fun(wanted: StreamWanted, on_done: fun(reply: StreamReply?)) reads a page
---@param on_done fun(reply: StreamReply?) `frames`: all, the oldest first
---@return PagedRead
function PagedRead.new(wanted, ask, on_done)
  return setmetatable({
    ask = ask,
    on_done = on_done,
    mode = wanted.mode,
    wanted = wanted,
    frames = {}, -- in the order of reading
    first = nil, -- the first reply
  }, PagedRead)
end

local function reversed(list)
  local result = {}
  for i = #list, 1, -1 do
    result[#result + 1] = list[i]
  end
  return result
end

local function finish(self, last)
  local is_backward = self.mode == "last"
  self.on_done {
    epoch = last.epoch,
    base = last.base,
    top = is_backward and self.first.top or last.top,
    frames = is_backward and reversed(self.frames) or self.frames,
  }
end

-- What is wanted behind what was read.
local function wanted_next(self, page)
  local wanted, last = self.wanted, page[#page]
  local bytes = 0
  for _, frame in ipairs(page) do
    bytes = bytes + #frame.payload + HEADER_BYTES
  end
  local is_backward = self.mode == "last"
  return {
    mode = self.mode,
    from = is_backward and wanted.from - #page or last.offset,
    before = is_backward and last.offset or nil,
    epoch = self.first.epoch,
    max_bytes = wanted.max_bytes - bytes,
  }
end

-- Another epoch began meanwhile, or what is still missing is gone.
local function is_gone(self, reply) return not reply.frames or reply.epoch ~= self.first.epoch end

local function on_page(self, reply)
  if not reply then
    return self.on_done(nil)
  end
  self.first = self.first or reply
  if is_gone(self, reply) then
    return self.on_done { epoch = reply.epoch, base = reply.base, top = reply.top }
  end
  for _, frame in ipairs(reply.frames) do
    self.frames[#self.frames + 1] = frame
  end
  if not reply.has_more then
    return finish(self, reply)
  end
  self.wanted = wanted_next(self, reply.frames)
  self:go_on()
end

--- Reads the next page, and all that follow. Does not yield.
function PagedRead:go_on()
  self.ask(self.wanted, function(reply) on_page(self, reply) end)
end

return PagedRead
