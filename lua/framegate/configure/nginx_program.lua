-- The nginx that runs the gateway: one that loads Lua as a module, as Debian's does, or one that has Lua built in, as
-- OpenResty has. The second has its own Lua libraries, and refuses those of another version.

local NginxProgram = {}

local MODULE_FOLDERS = { "/usr/lib/nginx/modules/", "/usr/lib64/nginx/modules/", "/usr/share/nginx/modules/" }
local MODULES = {
  { "ndk_http_module.so", "libnginx-mod-http-ndk" },
  { "ngx_http_lua_module.so", "libnginx-mod-http-lua" },
}
local OUR_LIBRARIES = "$prefix/lua/?.lua;$prefix/lua/vendor/?.lua;"
local DEBIAN_LIBRARIES = "/usr/share/lua/5.1/?.lua;"

--- The shell command that runs it. nginx takes a variable NGINX for the numbers of sockets that it inherits, and without -e
--- it opens a log file in the run directory.
---@param settings table as Variables.read returns it
---@return string
function NginxProgram.command(settings)
  return ("PATH=$PATH:/usr/sbin env -u NGINX '%s' -e stderr"):format(settings.NGINX ~= "" and settings.NGINX or "nginx")
end

--- Asks it whether it has Lua built in (nginx.org/en/docs/switches.html, -V).
---@param settings table as Variables.read returns it
---@param output fun(command: string): string
---@return boolean? has_lua nil when NGINX is no nginx
---@return string? problem one line that names the variable
function NginxProgram.has_lua(settings, output)
  local answer = output(NginxProgram.command(settings) .. " -V 2>&1")
  if settings.NGINX ~= "" and not answer:find("nginx version: ", 1, true) then
    local reason = answer ~= "" and answer:match("[^\n]*") or "it prints nothing"
    return nil, ("NGINX=%s: expected the program of an nginx (%s)"):format(settings.NGINX, reason)
  end
  for path in answer:gmatch("%-%-add%-module=(%S+)") do
    if path:find "ngx_lua%-[%d.]+" or path:find("lua-nginx-module", 1, true) then
      return true
    end
  end
  return false
end

local function find_module(name, exists)
  for _, folder in ipairs(MODULE_FOLDERS) do
    if exists(folder .. name) then
      return folder .. name
    end
  end
end

--- The lines that load its modules.
---@param machine { nginx_has_lua: boolean, exists: fun(path: string): boolean }
---@return string[] lines
---@return string[] missing one line for each module that the machine does not have
function NginxProgram.modules(machine)
  local out, missing = {}, {}
  for _, module in ipairs(machine.nginx_has_lua and {} or MODULES) do
    local path = find_module(module[1], machine.exists)
    if path then
      out[#out + 1] = "load_module " .. path .. ";"
    else
      missing[#missing + 1] = ("nginx's module %s is missing: run apt-get install %s"):format(module[1], module[2])
    end
  end
  return out, missing
end

--- The line that names the folders of Lua files. An empty item stands for the folders that nginx was built with.
---@param machine { nginx_has_lua: boolean }
---@return string
function NginxProgram.package_path(machine)
  local libraries = machine.nginx_has_lua and "" or DEBIAN_LIBRARIES
  return ('lua_package_path "%s%s;";\n'):format(OUR_LIBRARIES, libraries)
end

return NginxProgram
