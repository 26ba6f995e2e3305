-- The error log. nginx adds the request line to what is logged inside a request, and with it the tokens that people put into
-- the query of a socket's URL. So all lines go to the log of the process, and public.conf lets nginx itself say nothing of
-- requests: what it would say is said here.

local ffi = require "ffi"
require "ngx.errlog" -- declares the function below

local Log = {}

local C = ffi.C

-- In place of ngx.log, for everybody: nobody can forget to call something else.
local function write(level, ...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    parts[i] = tostring(parts[i])
  end
  local text = table.concat(parts)
  C.ngx_http_lua_ffi_raw_log(nil, level, text, #text)
end

--- From now on ngx.log writes lines without anything of the request.
function Log.install()
  ngx.log = write -- luacheck: ignore 122
end

--- What nginx calls for a request: a defect is logged, and the client gets a 500.
---@param name string for the log: "… failed"
---@param run fun()
---@return fun()
function Log.guarded(name, run)
  return function()
    local ok, err = xpcall(run, debug.traceback)
    if not ok then
      ngx.log(ngx.ERR, "[gateway] ", name, " failed: ", err)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
  end
end

return Log
