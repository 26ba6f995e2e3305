-- The error log. Every line begins with [gateway] and, where there is one, the id of the connection or event it is about.
--
-- ngx.log would add the request line, and with it the tokens that people put into the query of a socket's URL. So lines go
-- to the log of the process, and nginx's own lines about requests are silenced where strangers send them.

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Printable = require "framegate.runtime.printable"

local Log = {}

-- Of the lines that strangers can cause: so many of a kind, within such a time, in each worker.
local MOST, WINDOW_SECONDS = 20, 60
local PART_BYTES = 300

local windows = {} -- by kind: when the window began, the lines in it, and how many were left out

local function write(level, id, ...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    parts[i] = tostring(parts[i])
  end
  local text = Printable.text("[gateway] " .. (id and id .. ": " or "") .. table.concat(parts))
  ffi.C.ngx_http_lua_ffi_raw_log(nil, level, text, #text)
end

--- Runs in the master: declares the function of ngx_lua that writes a line.
function Log.init() require "ngx.errlog" end

--- Something that an operator must look into.
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.error(id, ...) write(ngx.ERR, id, ...) end

--- Something unusual that the gateway copes with.
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.warn(id, ...) write(ngx.WARN, id, ...) end

--- Something usual that helps while one looks for a fault.
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.info(id, ...) write(ngx.INFO, id, ...) end

local function window_of(kind)
  local window, time = windows[kind], Clock.monotonic()
  if not window or time - window.began >= WINDOW_SECONDS then
    window = { began = time, count = 0, logged = {}, left_out = 0, left_out_before = window and window.left_out or 0 }
    windows[kind] = window
  end
  return window
end

--- A line that people from outside can cause, as often as they like: the same one once a minute, and 20 of a kind a minute at
--- most, in each worker. The first line of the next minute has the number of those that were left out. Long parts are cut.
---@param log fun(id: string?, ...: any) Log.error or Log.warn
---@param kind string a name for such lines
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.limited(log, kind, id, ...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    parts[i] = Printable.cut(tostring(parts[i]), PART_BYTES)
  end
  local window, line = window_of(kind), table.concat(parts)
  local name = (id or "") .. line
  if window.logged[name] or window.count >= MOST then
    window.left_out = window.left_out + 1
    return
  end
  window.count, window.logged[name] = window.count + 1, true
  local left_out = window.left_out_before
  window.left_out_before = 0
  log(id, line, left_out > 0 and (" (%d such lines were left out)"):format(left_out) or "")
end

--- What nginx calls for a request: a defect is logged, and the client gets a 500.
---@param name string for the log: "… failed"
---@param run fun()
---@return fun()
function Log.guarded(name, run)
  return function()
    local ok, err = xpcall(run, debug.traceback)
    if not ok then
      Log.error(nil, name, " failed: ", err)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
  end
end

--- What nginx calls for a timer: a defect is logged. nginx's own line about it is silenced with those of connections that
--- cannot be made (nginx.conf).
---@param name string for the log: "… failed"
---@param run fun(...)
---@return fun(...)
function Log.caught(name, run)
  return function(...)
    local ok, err = xpcall(run, debug.traceback, ...)
    if not ok then
      Log.error(nil, name, " failed: ", err)
    end
  end
end

return Log
