-- Makes names that nobody can guess, from the kernel's random numbers (random(4)).

local Random = {}

local source = assert(io.open("/dev/urandom", "rb"))
source:setvbuf("no") -- forks would share the bytes that one process has read ahead

--- Makes a name of letters, digits, - and _ (base64url, RFC 4648 section 5).
--- It does not begin with -, which would look like an option on a command line.
---@param length integer characters, six bits each
---@return string
function Random.name(length)
  local text = ngx.encode_base64(source:read(math.ceil(length * 3 / 4)), true)
  if text:sub(1, 1) == "+" then
    return Random.name(length)
  end
  return (text:sub(1, length):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

return Random
