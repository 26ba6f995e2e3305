-- The error log. Every line begins with [gateway] and, where there is one, the id of the connection or event it is about.
--
-- ngx.log would add the request line, and with it the tokens that people put into the query of a socket's URL. So lines go
-- to the log of the process, and public.conf silences nginx's own lines about requests.

local ffi = require "ffi"

local Log = {}

local function write(level, id, ...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    parts[i] = tostring(parts[i])
  end
  local text = "[gateway] " .. (id and id .. ": " or "") .. table.concat(parts)
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
