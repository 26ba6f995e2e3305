-- Names nobody can guess, from the kernel's random numbers (random(4)).

local Random = {}

local source = assert(io.open("/dev/urandom", "rb"))
source:setvbuf("no") -- what one process had read ahead, its forks would all read again

--- Letters, digits, - and _ (base64url, RFC 4648 section 5), but no - at the beginning: a command line would take the name
--- for an option.
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
