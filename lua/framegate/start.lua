-- What nginx runs before the first request: once in the master, then in every worker.

-- Debian's package calls the vendored library nginx.websocket.*; everybody else calls it resty.websocket.*.
for _, name in ipairs { "protocol", "server" } do
  package.preload["resty.websocket." .. name] = function() return require("nginx.websocket." .. name) end
end

local CloseCode = require "framegate.close_code"
local Config = require "framegate.config"
local Census -- loaded by the master, when there is shared memory

local Start = {}

-- With what they require in turn these are all files: the last words of an old worker must not be read from newer files.
local FILES =
  { "accept", "background", "census", "control_server", "garbage", "operations", "refusal", "site", "upstream" }

--- Loads everything, so that a mistake in any file is found by nginx/check.conf, and by a reload, which then changes nothing.
function Start.master()
  local run = ngx.config.prefix():gsub("/$", "")
  Config.run = run
  Config.load(run)
  require("framegate.log").install()
  for _, name in ipairs(FILES) do
    require("framegate." .. name)
  end
  require("framegate.counters").found()
  Census = require "framegate.census"
  Census.found()
end

local SUCCESSOR_SECONDS = 5

-- A reload has started younger workers, with a later configuration; a stop has not.
local function close_sockets()
  if Census.is_last_configuration() then
    require("framegate.bus").call_all("stop", {})
  elseif Config.DRAIN_SECONDS > 0 then
    require("framegate.drain").begin(
      { code = CloseCode.SERVICE_RESTART, text = "the gateway was reloaded", cause = "reload" },
      Config.DRAIN_SECONDS
    )
  end
end

-- A request of the control API may still wait for the other workers.
local function end_links()
  while require("framegate.bus").is_busy() do
    ngx.sleep(0.02)
  end
  require("framegate.mesh").stop()
  require("framegate.sender").stop()
  Census.leave()
end

-- A timer far in the future fires early, with `premature`, when the worker is told to go. Its sockets live on after a
-- reload; when the last has ended, so do the lanes and links, which would keep the process alive.
local function watch_for_the_end()
  local Dispatch, Mesh = require "framegate.dispatch", require "framegate.mesh"
  ngx.timer.at(365 * 86400, function()
    -- nginx 1.22 runs this outside its event loop, where whom a semaphore wakes would sleep on until the next event.
    ngx.sleep(0.001)
    Mesh.begin_to_leave()
    Census.await_successor(SUCCESSOR_SECONDS)
    close_sockets()
    Dispatch.leave(function() ngx.timer.at(0, end_links) end)
  end)
end

function Start.worker()
  require("framegate.garbage").start()
  require("framegate.background").start()
  require("framegate.sender").start()
  require("framegate.counters").claim()
  Census.join(require("framegate.push").farewell)
  require("framegate.upstream").start()
  require("framegate.bus").start(require "framegate.operations")
  watch_for_the_end()
end

return Start
