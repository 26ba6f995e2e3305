-- Names nobody can guess, from the kernel's random numbers (random(4)).

local Random = {}

local source = assert(io.open("/dev/urandom", "rb"))
source:setvbuf("no")    -- what one process had read ahead, its forks would all read again

--- Letters, digits, - and _ (base64url, RFC 4648 section 5).
---@param length integer characters, six bits each
---@return string
function Random.name(length)
  local text = ngx.encode_base64(source:read(math.ceil(length * 3 / 4)), true)
  return (text:sub(1, length):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

return Random
