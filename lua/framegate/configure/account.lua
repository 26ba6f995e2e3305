-- Chooses the account that workers and handler run as.
-- A start as root drops its privileges: to USER_NAME, or to a default service account that can read the needed files.

local Account = {}

-- Tried in this order while USER_NAME is not set. Debian and Ubuntu have www-data on every machine.
local DEFAULTS = { "framegate", "www-data" }

local function id(machine, option, name) return machine.output(("id %s -- %s 2>/dev/null"):format(option, name)) end

local function default_of(machine)
  for _, name in ipairs(DEFAULTS) do
    if id(machine, "-u", name) ~= "" then
      return name
    end
  end
end

-- The first path that the account cannot read or enter. The gateway's image has neither a handler nor npm packages.
local function obstacle(account, machine)
  local script = { "cd /" }
  for _, folder in ipairs { "lua", "nginx", "web", "handler" } do
    local path = machine.project .. "/" .. folder
    script[#script + 1] = machine.exists(path)
        and ("find %s ! -readable -print -quit 2>&1"):format(machine.quoted(path))
      or nil
  end
  for _, path in ipairs { machine.project .. "/node_modules", machine.run } do
    local word = machine.quoted(path)
    script[#script + 1] = machine.exists(path) and ("[ -x %s ] || echo %s"):format(word, word) or nil
  end
  local said = machine.output(
    ("setpriv --reuid=%s --regid=%s --init-groups sh -c %s"):format(
      account.name,
      machine.quoted(account.group),
      machine.quoted(table.concat(script, "; "))
    )
  )
  if said == "" then
    return nil
  end
  -- find: '/root/framegate/lua': Permission denied
  return said:match("^find: .-(/[%w%._/%-]+)") or said:match("^[^\n]*")
end

---@class Account
---@field name string
---@field group string the user's own group

--- Chooses the account of workers and handler.
---@param settings table as Variables.read returns it
---@param machine { project: string, run: string, is_root: boolean, user: string, output: fun(command: string): string,
---  exists: fun(path: string): boolean, quoted: fun(word: string): string } `quoted` quotes for a shell
---@return Account? account nil if they run as the user who starts the gateway
---@return string? problem one line that names the variable; the start is refused
---@return string? note one line for the operator: why they run as root
function Account.choose(settings, machine)
  local wanted = settings.USER_NAME
  if not machine.is_root then
    local is_other = wanted ~= "" and wanted ~= machine.user
    return nil,
      is_other and ("USER_NAME=%s: expected a start as root: nobody else can become another user"):format(wanted) or nil
  end
  if wanted ~= "" and id(machine, "-u", wanted) == "" then
    return nil, ("USER_NAME=%s: expected a user of this machine, as getent passwd lists them"):format(wanted)
  end
  local name = wanted ~= "" and wanted or default_of(machine)
  if not name or name == machine.user then
    return nil
  end
  local account = { name = name, group = id(machine, "-gn", name) }
  local path = obstacle(account, machine)
  if not path then
    return account
  end
  if wanted ~= "" then
    return nil,
      ("USER_NAME=%s: expected a user who can read %s: change its mode, or move the project"):format(name, path)
  end
  local note = "workers and handler run as root, because %s cannot read %s: "
    .. "let others read the project (chmod -R o+rX), move it, such as to /srv, or set USER_NAME"
  return nil, nil, note:format(name, path)
end

return Account
