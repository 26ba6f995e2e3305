-- Checks whether the workers may write the file of SOCKET_LOG.

local LogFile = {}

--- Checks the file, or its folder if the file does not exist.
---@param settings table as Variables.read returns it
---@param machine { account: Account?, output: fun(command: string): string, quoted: fun(word: string): string }
---@return string? problem one line that names the variable
function LogFile.check(settings, machine)
  local path = settings.SOCKET_LOG
  local folder = path:match("^(/.*)/[^/]*$") or path:match("^/") and "/"
  if not folder then
    return nil
  end
  local file, place = machine.quoted(path), machine.quoted(folder)
  local account = machine.account
  local as = account
      and ("setpriv --reuid=%s --regid=%s --init-groups "):format(account.name, machine.quoted(account.group))
    or ""
  local script = (
    "if [ ! -d %s ]; then echo there; elif [ -d %s ]; then echo file; elif [ -e %s ]; then [ -w %s ] || echo write; "
    .. "else [ -w %s ] && [ -x %s ] || echo write; fi"
  ):format(place, file, file, file, place, place)
  local wrong = machine.output(as .. "sh -c " .. machine.quoted(script))
  local expected = {
    there = "a file in a folder that is there",
    file = "a file, not a folder",
    write = ("a file that %s can write: change the owner of its folder"):format(
      account and account.name or machine.user
    ),
  }
  return expected[wrong] and ("SOCKET_LOG=%s: expected %s"):format(path, expected[wrong])
end

return LogFile
