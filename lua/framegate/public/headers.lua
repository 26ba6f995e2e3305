-- Selects headers that pass the gateway: from the handshake to the handler, and from its refusal to the client.

local Headers = {}

-- Headers that the client does not get: hop-by-hop ones (RFC 9110 section 7.6.1), and those that nginx writes itself.
local KEPT_BACK = {
  ["connection"] = true,
  ["keep-alive"] = true,
  ["transfer-encoding"] = true,
  ["te"] = true,
  ["trailer"] = true,
  ["upgrade"] = true,
  ["proxy-connection"] = true,
  ["content-length"] = true,
  ["date"] = true,
  ["server"] = true,
}

local function add(lines, name, value)
  if value then
    lines[#lines + 1] = name
      .. ": "
      .. (type(value) == "table" and table.concat(value, name == "cookie" and "; " or ", ") or value)
  end
end

--- Writes the header lines that every event of a socket carries.
---@param headers table<string, string|string[]> of the handshake, which is this request
---@param names string[] of those that go to its handler
---@param is_stream boolean whether the client wants an event stream
---@return string lines each with CR LF
function Headers.of_handshake(headers, names, is_stream)
  local var, lines = ngx.var, {}
  add(lines, "host", var.own_host)
  for _, name in ipairs(names) do
    add(lines, name, headers[name])
  end
  add(lines, "x-forwarded-for", var.remote_addr)
  add(lines, "x-forwarded-proto", var.forwarded_proto)
  add(lines, "x-forwarded-host", var.forwarded_host)
  add(lines, "ce-transport", is_stream and "sse")
  return table.concat(lines, "\r\n") .. "\r\n"
end

--- Copies the headers of a handler's answer to the response of this request. Leaves out ws-*.
---@param headers table<string, string|string[]> names in lower case
function Headers.pass_on(headers)
  for name, value in pairs(headers) do
    if not KEPT_BACK[name] and name:sub(1, 3) ~= "ws-" then
      ngx.header[name] = value
    end
  end
end

return Headers
