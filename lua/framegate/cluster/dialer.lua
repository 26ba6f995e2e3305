-- Dials other workers, in a thread that lives as long as this worker.
-- The kernel chooses which listening worker a dial reaches, so reaching all of them needs several dials.
--
-- A worker that joins while this one is shutting down cannot dial it.
-- Linked workers report new members, but this worker may have no links.
-- So it also checks the members itself, more often for a while after a worker joined or left.

local Clock = require "framegate.runtime.clock"
local Link = require "framegate.cluster.link"
local Log = require "framegate.runtime.log"
local Threads = require "framegate.runtime.threads"
local semaphore = require "ngx.semaphore"

---@class Dialer
local Dialer = {}
Dialer.__index = Dialer

local DIAL_MS = 1000
local MAX_DIALS = 4 -- more than one, because the kernel may give one to a worker that is stuck
local DIAL_PATIENCE = 0.02 -- seconds until the next dial starts beside it
local MAX_BACKOFF = 0.1 -- seconds between dials that reach no new worker
local MIN_SCAN_SECONDS, MAX_SCAN_SECONDS = 0.05, 1
local SCAN_SHARE = 0.1 -- of the time since the last change: a worker that has nothing to do uses no processor time

--- `on_link` serves the link, and returns when the link has ended.
---@param parts { members: Members, port: integer, has_to_dial: (fun(): boolean), on_link: fun(link: Link) }
---@return Dialer
function Dialer.new(parts)
  return setmetatable({
    members = parts.members,
    port = parts.port,
    has_to_dial = parts.has_to_dial,
    on_link = parts.on_link,
    changed_at = 0,
    dials = 0, -- in progress
    failed_dials = 0, -- since the last new link
    awaited = semaphore.new(),
    has_stopped = false,
  }, Dialer)
end

local function wake(self)
  if self.awaited:count() < 0 then
    self.awaited:post()
  end
end

--- Checks the members now, because a worker joined or left.
function Dialer:scan()
  self.changed_at = Clock.monotonic()
  wake(self)
end

-- nginx expects the headers of a request first. After them the stream belongs to the workers.
local function greeting(members)
  return ("GET / HTTP/1.1\r\nHost: mesh\r\n\r\n%s %s %d %d\n"):format(
    members:secret(),
    members:worker(),
    members:joined_at(),
    members:is_leaving() and 1 or 0
  )
end

local function connect(self)
  local socket = ngx.socket.tcp()
  socket:settimeouts(DIAL_MS, DIAL_MS, DIAL_MS)
  local ok, err = socket:connect("127.0.0.1", self.port)
  return ok and socket, err
end

local function greet(self)
  local socket = connect(self)
  if not socket then
    return nil
  end
  socket:send(greeting(self.members))
  local word, name = (socket:receive("*l") or ""):match("^(%S+) (%S+)$")
  if word ~= "welcome" then
    socket:close()
    return nil
  end
  return Link.new(name, socket)
end

-- The thread that dialled a link also serves it.
local function dial(_, self)
  local ok, link = xpcall(greet, debug.traceback, self)
  self.dials = self.dials - 1
  self.failed_dials = ok and link and 0 or self.failed_dials + 1
  wake(self)
  if not ok then
    Log.error(nil, "dialling another worker failed: ", link)
  elseif link then
    self.on_link(link)
  end
end

local function begin_dial(self)
  if self.dials < MAX_DIALS and ngx.timer.at(0, dial, self) then
    self.dials = self.dials + 1
  end
  self.awaited:wait(DIAL_PATIENCE)
  if self.failed_dials > 0 then
    ngx.sleep(math.min(self.failed_dials / 1000, MAX_BACKOFF))
  end
end

local function await_change(self, version)
  local pause = (Clock.monotonic() - self.changed_at) * SCAN_SHARE
  self.awaited:wait(math.min(math.max(pause, MIN_SCAN_SECONDS), MAX_SCAN_SECONDS))
  if self.members:version() ~= version then
    self.changed_at = Clock.monotonic()
  end
end

local function run(_, self)
  while not self.has_stopped do
    local version = self.members:version()
    if self.has_to_dial() then
      begin_dial(self)
    else
      self.failed_dials = 0
      await_change(self, version)
    end
  end
end

--- Starts the thread that dials. Does not yield.
function Dialer:start()
  Threads.run(run, self, function(_, err)
    Log.warn(nil, "linking the workers could not begin, and is tried again: ", err)
    self:start()
  end)
end

--- Whether the mesh port is open: for a serving worker, or held by nginx's master for a worker that will start.
--- It is closed when the gateway stops.
---@return boolean
function Dialer:has_listener()
  local socket, err = connect(self)
  if socket then
    socket:close()
  end
  return socket ~= nil or err == "timeout"
end

--- Ends the thread. Dials in progress still finish.
function Dialer:stop()
  self.has_stopped = true
  self.awaited:post()
end

return Dialer
