-- The error log. Every line begins with [gateway] and, if there is one, the id of the connection or event.
--
-- ngx.log would add the request line, and with it tokens in the query of a socket's URL.
-- So lines go to the log of the process, and nginx's own lines about requests are disabled on the public ports.

local ffi = require "ffi"
local Clock = require "framegate.runtime.clock"
local Printable = require "framegate.runtime.printable"

local Log = {}

-- The limit of lines that strangers can cause: per kind, within a window, in each worker.
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

--- Logs a fault that an operator must investigate.
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.error(id, ...) write(ngx.ERR, id, ...) end

--- Logs an unusual condition that the gateway handles.
---@param id string? of the connection or event
---@param ... any the parts of the line
function Log.warn(id, ...) write(ngx.WARN, id, ...) end

--- Logs a normal condition that helps to find a fault.
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

--- Logs a line that strangers can cause as often as they like. The same line appears once a minute in each worker.
--- At most 20 lines of a kind appear a minute. The first line of the next minute has the number of those left out.
--- Long parts are cut.
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

--- Wraps a function that nginx calls for a request: an error in it is logged, and the client gets a 500.
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

--- Wraps a function that nginx calls for a timer: an error in it is logged.
--- nginx's own line about it is off, together with those about failed connections (nginx.conf).
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
