-- Creates and checks the run directory, which contains sockets and generated files.
-- If another user put a symbolic link there, a start as root could overwrite files elsewhere, or give them away.

local RunDirectory = {}

-- The entries that framegate and nginx write there. None of them may be a link.
local ENTRIES = {
  "control",
  "framegate.lock",
  "framegate.log",
  "framegate.pid",
  "framegate.sock",
  "handler",
  "internal",
  "journal",
  "next",
  "nginx",
  "nginx.pid",
  "nginx/generated",
  "settings.json",
  "settings.json.new",
  "temp",
}
local MAX_PATH = 84 -- bytes, so that the path of the longest socket in it fits the 107 bytes of unix(7)

--- Checks whether nginx can use the paths.
---@param run string absolute
---@param project string absolute
---@return string? problem
function RunDirectory.path_problem(run, project)
  if #run > MAX_PATH then
    return ("%s: a unix socket's path may have 107 bytes at most (unix(7)): choose a shorter RUN_DIR"):format(run)
  end
  if run:find("[%s;{}\"'$\\]") or project:find("[%s;{}\"'$\\]") then
    return "nginx cannot take a path with spaces, quotes or any of ; { } $ in it: " .. project .. ", " .. run
  end
end

local function owner_problem(run, machine)
  local kind, uid, name = machine.output("stat -L -c '%F:%u:%U' " .. machine.quoted(run)):match("^(.-):(%d+):(.*)$")
  if not kind then
    return run .. ": this folder cannot be made or looked at: choose another RUN_DIR"
  end
  if kind ~= "directory" then
    return run .. ": expected a folder: choose another RUN_DIR"
  end
  if uid ~= machine.uid and (uid ~= "0" or machine.is_root) then
    return ("%s belongs to %s: start the gateway as %s, or choose a RUN_DIR of %s's own"):format(
      run,
      name,
      name,
      machine.user
    )
  end
end

local function link_in(run, machine)
  local words = {}
  for i, entry in ipairs(ENTRIES) do
    words[i] = machine.quoted(run .. "/" .. entry)
  end
  return machine
    .output("for path in " .. table.concat(words, " ") .. '; do [ -L "$path" ] && echo "$path"; done; true')
    :match("^[^\n]+")
end

--- Creates the folder if needed, so that workers of another user can enter it.
--- Removes the write permission of others, and checks whether the folder can be trusted.
---@param run string absolute
---@param machine { uid: string, user: string, is_root: boolean, output: fun(command: string): string,
---  quoted: fun(word: string): string } `quoted` quotes for a shell
---@return string? problem one line that states what to do
function RunDirectory.prepare(run, machine)
  local path = machine.quoted(run)
  machine.output(("umask 022; mkdir -p %s 2>&1"):format(path))
  local problem = owner_problem(run, machine)
  if problem then
    return problem
  end
  machine.output(("chmod go-w %s 2>&1"):format(path))
  local link = link_in(run, machine)
  if link then
    return link .. " is a symbolic link, which the gateway does not follow: remove it, or choose another RUN_DIR"
  end
end

return RunDirectory
