-- What nginx runs before the first request: once in the master, then in every worker.

-- Debian's package calls the vendored library nginx.websocket.*; everybody else calls it resty.websocket.*.
for _, name in ipairs { "protocol", "server" } do
  package.preload["resty.websocket." .. name] = function() return require("nginx.websocket." .. name) end
end

local Config = require "framegate.config"

local Start = {}

-- With what they require in turn these are all files: the last words of an old worker must not be read from newer files.
local FILES = {
  "accept",
  "background",
  "orphans",
  "control_server",
  "garbage",
  "operations",
  "shutdown",
  "refusal",
  "site",
  "upstream",
}

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
  require("framegate.members").init()
end

function Start.worker()
  require("framegate.garbage").start()
  require("framegate.background").start()
  require("framegate.sender").start()
  require("framegate.counters").claim()
  require("framegate.members").join()
  require("framegate.orphans").start()
  require("framegate.upstream").start()
  require("framegate.bus").start(require "framegate.operations")
  require("framegate.shutdown").watch()
end

return Start
