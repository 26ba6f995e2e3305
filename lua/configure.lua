-- lua5.1 lua/configure.lua <project> <run> [<target>]
-- Checks the environment and writes what nginx starts from: <run>/nginx/ (links to nginx/*.conf and the few
-- generated files), <run>/settings.json and the folders of sockets. The arguments are absolute paths.
-- With a third one the files are written there, for <run> but beside it, to be tried before they count.
-- A value that is refused gives one line on stderr, and exit status 1. What is good to know is printed, a line each.

local project, run = arg[1], arg[2]
local target = arg[3] or run
package.path = project .. "/lua/?.lua;" .. package.path

local Account = require "framegate.configure.account"
local Capacity = require "framegate.configure.capacity"
local Certificate = require "framegate.configure.certificate"
local NginxFiles = require "framegate.configure.nginx_files"
local Ports = require "framegate.configure.ports"
local Variables = require "framegate.configure.variables"
local cjson = require "cjson"

local function fail(lines)
  for _, line in ipairs(lines) do
    io.stderr:write("framegate: ", line, "\n")
  end
  os.exit(1)
end

local function quoted(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

local function shell(command)
  if os.execute(command) ~= 0 then
    fail { "could not prepare " .. run .. ": this failed: " .. command }
  end
end

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function write(path, text, is_secret)
  local temporary = path .. ".new"
  if is_secret then
    shell(("rm -f %s; umask 077; : >%s"):format(quoted(temporary), quoted(temporary)))
  end
  local file, err = io.open(temporary, "w")
  if not file then
    fail { "could not write " .. err }
  end
  file:write(text)
  file:close()
  assert(os.rename(temporary, path))
end

local settings, problems = Variables.read(os.getenv, run)
if not settings then
  fail(problems)
end
if #(run .. "/internal/dispatch.sock") > 107 then
  fail { run .. ": a unix socket's path may have 107 bytes at most (unix(7)): choose a shorter RUN_DIR" }
end
if run:find("[%s;{}\"'$\\]") or project:find("[%s;{}\"'$\\]") then
  fail { "nginx cannot take a path with spaces, quotes or any of ; { } $ in it: " .. project .. ", " .. run }
end

local function prepare(command)
  local paths = { RUN = run, TARGET = target, PROJECT = project }
  shell((command:gsub("%u%u+", function(name) return paths[name] and quoted(paths[name]) end)))
end

prepare "mkdir -p RUN/internal RUN/handler RUN/temp RUN/nginx/generated TARGET/nginx/generated TARGET/temp"
prepare "chmod 0700 RUN/internal"
prepare "mkdir -p -m 0750 RUN/control"

local log_folder = settings.SOCKET_LOG:match("^(/.*)/[^/]*$")
if log_folder and output("test -d " .. quoted(log_folder) .. " && echo there") ~= "there" then
  fail { ("SOCKET_LOG=%s: expected a file in a folder that is there"):format(settings.SOCKET_LOG) }
end

local refused = Certificate.check(settings, run)
if refused then
  fail { refused }
end

-- The workers' own port: a free one, kept while this gateway runs, so that workers of before and after a reload meet.
local function mesh_port()
  local pid = (io.open(run .. "/nginx.pid") or io.popen("true")):read("*l")
  local kept = io.open(run .. "/settings.json")
  local before = kept and cjson.decode(kept:read("*a")).mesh_port
  if before and pid and io.open("/proc/" .. pid .. "/stat") then
    return before
  end
  local taken = {}
  for _, table_name in ipairs { "tcp", "tcp6" } do
    local file = io.open("/proc/net/" .. table_name)
    for port in (file and file:read("*a") or ""):gmatch(":(%x%x%x%x) ") do
      taken[tonumber(port, 16)] = true
    end
  end
  local random = io.open("/dev/urandom", "rb")
  local port
  repeat
    local a, b = random:read(2):byte(1, 2)
    port = 10000 + (a * 256 + b) % 20000 -- below the ports that the kernel gives to clients
  until not taken[port]
  return port
end
settings.mesh_port = mesh_port()
settings.ports = Ports.plain(settings)

local machine = {
  project = project,
  run = run,
  is_root = output("id -u") == "0",
  user = output("id -un"),
  group = output("id -gn"),
  open_files = tonumber(output("ulimit -Hn")) or 1048576,
  processors = tonumber(output("getconf _NPROCESSORS_ONLN")),
  mesh_port = settings.mesh_port,
  has_ipv6 = io.open("/proc/net/if_inet6") ~= nil,
  exists = function(path) return io.open(path) ~= nil end,
  output = output,
  quoted = quoted,
}
if machine.open_files < Capacity.LEAST_FILES then
  fail {
    ("the limit of open files is %d, expected at least %d: raise it with ulimit -n"):format(
      machine.open_files,
      Capacity.LEAST_FILES
    ),
  }
end
machine.capacity = Capacity.of(settings, machine)
settings.capacity = machine.capacity

local unfit, note
machine.account, unfit, note = Account.choose(settings, machine)
if unfit then
  fail { unfit }
end
settings.account = machine.account
settings.notes = { Capacity.describe(machine.capacity), note }

local files, missing = NginxFiles.files(settings, machine)
if not files then
  fail(missing)
end

if machine.is_root then
  -- A folder that is its owner's already keeps the group that somebody may have given it.
  local account = machine.account or { name = machine.user, group = machine.group }
  for _, folder in ipairs { run .. "/internal", run .. "/handler", run .. "/control", target .. "/temp" } do
    local path = quoted(folder)
    shell(
      ('[ "$(stat -c %%U %s)" = %s ] || chown %s:%s %s'):format(
        path,
        account.name,
        account.name,
        quoted(account.group),
        path
      )
    )
  end
end
prepare "ln -sfn PROJECT/lua TARGET/lua"
prepare "ln -sfn PROJECT/web TARGET/web"
prepare "ln -sfn PROJECT/nginx/locations.d TARGET/nginx/locations.d"
prepare "ln -sf PROJECT/nginx/*.conf TARGET/nginx/"
for name, text in pairs(files) do
  write(
    target .. "/nginx/generated/" .. name,
    "# Written by lua/configure.lua from the environment: changes are lost.\n" .. text
  )
end
write(target .. "/settings.json", cjson.encode(settings), true) -- it holds CONTROL_TOKEN
for _, line in ipairs(settings.notes) do
  print("framegate: " .. line)
end
