-- lua5.1 lua/configure.lua <project> <run> [<target>]
-- Checks the environment and writes the files that nginx starts from. The arguments are absolute paths.
-- The files are <run>/nginx/ (links to nginx/*.conf, and a few generated files), <run>/settings.json, and the socket
-- folders.
-- With <target>, the same files are written there, so that nginx can test them first.
-- Each refused value gives one line on stderr, and exit status 1. Notes for the operator are printed, one line each.

local project, run = arg[1], arg[2]
local target = arg[3] or run
package.path = project .. "/lua/?.lua;" .. package.path

local Account = require "framegate.configure.account"
local Capacity = require "framegate.configure.capacity"
local Certificate = require "framegate.configure.certificate"
local Locations = require "framegate.configure.locations"
local LogFile = require "framegate.configure.log_file"
local MeshPort = require "framegate.configure.mesh_port"
local Names = require "framegate.configure.names"
local NginxFiles = require "framegate.configure.nginx_files"
local NginxProgram = require "framegate.configure.nginx_program"
local Ports = require "framegate.configure.ports"
local RunDirectory = require "framegate.configure.run_directory"
local Variables = require "framegate.configure.variables"
local cjson = require "cjson"

local function fail(lines)
  for _, line in ipairs(lines) do
    io.stderr:write("framegate: ", line, "\n")
  end
  os.exit(1)
end

local function quoted(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

-- Sets the mode, whatever umask the process has.
local function shell(command)
  local said = output("umask 022; { " .. command .. "; } 2>&1 || echo failed")
  if said ~= "" then
    fail { ("could not prepare %s: %s"):format(run, said:match("^[^\n]*: (.-)\n?failed$") or command) }
  end
end

-- Replaces a file only when the new one is complete: on a full disk the old one stays.
local function write(path, text, is_secret)
  local temporary = path .. ".new"
  if is_secret then
    shell(("rm -f %s; umask 077; : >%s"):format(quoted(temporary), quoted(temporary)))
  end
  local file, err = io.open(temporary, "w")
  local is_written = file ~= nil
  if file then
    is_written, err = file:write(text)
    if is_written then
      is_written, err = file:flush()
    end
    file:close()
  end
  if is_written then
    is_written, err = os.rename(temporary, path)
  end
  if not is_written then
    os.remove(temporary)
    fail { ("could not write %s: %s"):format(path, tostring(err):match("[^:]*$"):gsub("^%s+", "")) }
  end
end

local function words(text)
  local all = {}
  for word in (text or ""):gmatch("[^%z%s]+") do
    all[#all + 1] = word
  end
  return all
end

local function environment_names()
  local file = io.open("/proc/self/environ", "rb")
  local names = {}
  for name in (file and file:read("*a") or ""):gmatch("([^%z=]+)=[^%z]*") do
    names[#names + 1] = name
  end
  return names
end

-- Reads nginx/locations.d/: the text of each file, and what is wrong with them.
local function read_locations()
  local texts, problems = {}, {}
  local folder = quoted(project .. "/nginx/locations.d")
  if
    output(("[ ! -d %s ] || { [ -r %s ] && [ -x %s ]; } || echo closed"):format(folder, folder, folder)) == "closed"
  then
    return texts, { "nginx/locations.d cannot be read: change its mode (chmod -R a+rX)" }
  end
  for _, path in ipairs(words(output(("ls -1 %s/nginx/locations.d/*.conf 2>/dev/null"):format(quoted(project))))) do
    local file, err = io.open(path)
    local short = path:sub(#project + 2)
    if not file then
      problems[#problems + 1] = ("%s: cannot be read (%s): change its mode (chmod -R a+rX)"):format(
        short,
        err:match("[^ ][^:]*$")
      )
    else
      texts[#texts + 1] = file:read("*a")
      for _, problem in ipairs(Locations.check(short, texts[#texts])) do
        problems[#problems + 1] = problem
      end
      file:close()
    end
  end
  return texts, problems
end

local function stop_at(problem)
  if problem then
    fail(type(problem) == "table" and problem or { problem })
  end
end

local function stop_at_any(problems)
  if problems[1] then
    fail(problems)
  end
end

local settings, problems = Variables.read(os.getenv, run)
-- FRAMEGATE_ENV_NAMES: the names in the settings file, which cli/environment.ts has read.
local misspelt, name_notes = Names.check(words(os.getenv "FRAMEGATE_ENV_NAMES"), environment_names())
for _, problem in ipairs(problems or {}) do
  misspelt[#misspelt + 1] = problem
end
stop_at_any(misspelt)
stop_at(RunDirectory.path_problem(run, project))
local locations, location_problems = read_locations()
stop_at_any(location_problems)
settings.location_handlers = Locations.handlers(locations)

local machine = {
  project = project,
  run = run,
  uid = output("id -u"),
  is_root = output("id -u") == "0",
  user = output("id -un"),
  group = output("id -gn"),
  open_files = tonumber(output("ulimit -Hn")) or 1048576,
  processors = tonumber(output("getconf _NPROCESSORS_ONLN")),
  has_ipv6 = io.open("/proc/net/if_inet6") ~= nil,
  exists = function(path) return io.open(path) ~= nil end,
  output = output,
  quoted = quoted,
}
local has_lua, no_nginx = NginxProgram.has_lua(settings, output)
stop_at(no_nginx)
machine.nginx_has_lua = has_lua
stop_at(RunDirectory.prepare(run, machine))

local function prepare(command)
  local paths = { RUN = run, TARGET = target, PROJECT = project }
  shell((command:gsub("%u%u+", function(name) return paths[name] and quoted(paths[name]) end)))
end

prepare "mkdir -p RUN/internal RUN/journal RUN/handler RUN/temp RUN/nginx/generated TARGET/nginx/generated TARGET/temp"
prepare "chmod 0700 RUN/internal RUN/journal"
prepare "mkdir -p -m 0750 RUN/control"

stop_at(Certificate.check(settings, run))
stop_at(Certificate.check_authorities(settings))
if settings.NODE_NAME == "" then
  settings.NODE_NAME = output("uname -n"):gsub("[^%w%-%._]", "-")
end
settings.mesh_port = MeshPort.choose(run, settings)
settings.ports = Ports.plain(settings)
machine.mesh_port = settings.mesh_port

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
stop_at(unfit)
settings.account = machine.account
stop_at(LogFile.check(settings, machine))
settings.notes = { Capacity.describe(machine.capacity), note }
for _, line in ipairs(name_notes) do
  settings.notes[#settings.notes + 1] = line
end

local files, missing = NginxFiles.files(settings, machine)
stop_at(not files and missing)

if machine.is_root then
  -- A folder that has the right owner keeps its group, which an operator may have set.
  local account = machine.account or { name = machine.user, group = machine.group }
  for _, folder in ipairs { run .. "/internal", run .. "/journal", run .. "/handler", run .. "/control" } do
    local path, owner = quoted(folder), quoted(account.name .. ":" .. account.group)
    shell(('[ "$(stat -c %%U %s)" = %s ] || chown -h %s %s'):format(path, account.name, owner, path))
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
write(target .. "/settings.json", cjson.encode(settings), true) -- it contains secrets, such as CONTROL_TOKEN
for _, line in ipairs(settings.notes) do
  print("framegate: " .. line)
end
