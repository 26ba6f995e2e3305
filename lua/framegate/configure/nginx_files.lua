-- Generates the few nginx files that depend on settings, because nginx cannot read these values from variables.

local Certificate = require "framegate.configure.certificate"
local NginxProgram = require "framegate.configure.nginx_program"
local Ports = require "framegate.configure.ports"
local UpstreamUrl = require "framegate.protocol.upstream_url"

local NginxFiles = {}

local function lines(list) return table.concat(list, "\n") .. "\n" end

local function main_file(settings, machine)
  local out, missing = NginxProgram.modules(machine)
  if machine.is_root then
    local account = machine.account or { name = machine.user, group = machine.group }
    out[#out + 1] = ("user %s %s;"):format(account.name, account.group)
  end
  out[#out + 1] = ("worker_processes %s;"):format(settings.WORKERS)
  out[#out + 1] = ("worker_rlimit_nofile %d;"):format(machine.open_files)
  out[#out + 1] = ("pid %s/nginx.pid;"):format(machine.run)
  return lines(out), missing
end

local function listen_file(settings, machine)
  local out = {}
  -- Pings find dead peers. The kernel's keep-alive is the fallback (20 s, 4 probes).
  local function listen(port, tls)
    out[#out + 1] = ("listen %d%s so_keepalive=60s:20s:4;"):format(port, tls)
    out[#out + 1] = machine.has_ipv6 and ("listen [::]:%d%s so_keepalive=60s:20s:4;"):format(port, tls) or nil
  end
  for _, port in ipairs(Ports.plain(settings)) do
    listen(port, "")
  end
  if settings.TLS_CERTIFICATE ~= "" then
    listen(settings.TLS_PORT, " ssl")
    out[#out + 1] = ("ssl_certificate %s;"):format(settings.TLS_CERTIFICATE)
    out[#out + 1] = ("ssl_certificate_key %s;"):format(settings.TLS_CERTIFICATE_KEY)
    out[#out + 1] = "include tls.conf;"
  end
  return lines(out)
end

-- 308 keeps method and body (RFC 9110 section 15.4.9). Within an `if` of the server, nginx has not yet applied any limit of
-- kept connections, and would answer requests that are sent together without end and without serving others. So the
-- redirect has a location, which keeps no connection. Nobody sees the 426.
local function redirect_file(settings)
  if not settings.TLS_REDIRECT then
    return ""
  end
  local port = settings.TLS_PORT == 443 and "" or ":" .. settings.TLS_PORT
  return lines {
    "if ($is_to_redirect) {",
    "    return 426;",
    "}",
    "error_page 426 = @to_https;",
    "location @to_https {",
    "    keepalive_timeout 0;",
    ("    return 308 https://$redirect_host%s$request_uri;"):format(port),
    "}",
  }
end

local function control_file(settings, machine)
  local out = { ("listen unix:%s;"):format(settings.CONTROL_SOCKET) }
  local where = settings.CONTROL_PORT
  if where ~= "off" then
    out[#out + 1] = ("listen %s;"):format(where)
    out[#out + 1] = machine.has_ipv6 and not where:find(":") and ("listen [::]:%s;"):format(where) or nil
  end
  return lines(out)
end

local function trusted_file(settings)
  local out = { "geo $realip_remote_addr $from_trusted_proxy {", "    default 0;" }
  for _, network in ipairs(settings.TRUSTED_PROXIES) do
    out[#out + 1] = ("    %s 1;"):format(network)
  end
  out[#out + 1] = "}"
  for _, network in ipairs(settings.TRUSTED_PROXIES) do
    out[#out + 1] = ("set_real_ip_from %s;"):format(network)
  end
  out[#out + 1] = "real_ip_header X-Forwarded-For;"
  out[#out + 1] = "real_ip_recursive on;"
  -- In a list the client's value is first: each proxy on the way has appended its own.
  for _, pair in ipairs { { "proto", "$scheme" }, { "host", "$own_host" } } do
    out[#out + 1] = ('map "$from_trusted_proxy:$http_x_forwarded_%s" $forwarded_%s {'):format(pair[1], pair[1])
    out[#out + 1] = ("    ~^1:\\s*(?<trusted_%s>[^,\\s]+) $trusted_%s;"):format(pair[1], pair[1])
    out[#out + 1] = ("    default %s;"):format(pair[2])
    out[#out + 1] = "}"
  end
  return lines(out)
end

local function sockets_file(settings)
  return lines {
    ("location ^~ %s {"):format(settings.SOCKET_PATH),
    "    include socket.conf;",
    "}",
  }
end

-- The bytes per read of a socket, which it keeps while it is open (ngx_lua's default is 4k|8k). With DIRECT_IO, longer
-- messages do not pass through this buffer (runtime/direct_io.lua).
local function socket_buffer_file(settings)
  return ("lua_socket_buffer_size %s;\n"):format(settings.DIRECT_IO and "256" or "1k")
end

-- The time-outs for silence between the gateway and an upstream, in both directions.
local function silence_file(seconds)
  local out = {}
  for i, directive in ipairs { "proxy_read_timeout", "proxy_send_timeout", "client_body_timeout", "send_timeout" } do
    out[i] = ("%s %dms;"):format(directive, seconds * 1000)
  end
  return lines(out)
end

local function scheme(url) return url:match("^(%a+)://") end

-- The server name for TLS. By default nginx would use the name of the upstream block.
local function tls_name(url)
  local host = url:match("^https://([^:/%[]+)")
  return host and ("proxy_ssl_name %s;\n"):format(host) or ""
end

local function pass_file(upstream, url) return ("proxy_pass %s://%s;\n"):format(scheme(url), upstream) .. tls_name(url) end

-- Plain requests of the handler, which nginx passes on itself. All URLs of a list have one scheme.
local function handler_file(settings)
  local url = settings.HANDLER_URL[1]:match("^%S+") -- without its weight
  if scheme(url) ~= "fastcgi" then
    return pass_file("handler", url)
  end
  local script = UpstreamUrl.handler(url).script
  local folder, file = script:match("^(.*)/([^/]+)$")
  return lines {
    "include fastcgi.conf;",
    ("fastcgi_param SCRIPT_FILENAME %s;"):format(script),
    ("fastcgi_param SCRIPT_NAME /%s;"):format(file),
    ("fastcgi_param DOCUMENT_ROOT %s;"):format(folder ~= "" and folder or "/"),
    "fastcgi_pass handler;",
  }
end

local function handler_timeout_file(settings)
  local out = {}
  for i, directive in ipairs {
    "proxy_read_timeout",
    "proxy_send_timeout",
    "fastcgi_read_timeout",
    "fastcgi_send_timeout",
  } do
    out[i] = ("%s %dms;"):format(directive, (settings.HANDLER_TIMEOUT + 5) * 1000)
  end
  return lines(out)
end

-- Lua checks certificates only of Redis and of the collector of spans: its own connections to handlers are not checked.
local function authorities_file(settings)
  local path = Certificate.authorities(settings)
  return path and lines { ("lua_ssl_trusted_certificate %s;"):format(path), "lua_ssl_verify_depth 5;" } or ""
end

-- The names of topics and their counters get a memory of their own, so that frames are all that is in the other one. nginx
-- keeps a memory whose size is the same after a reload, so both change their sizes together. In a cluster frames are in Redis.
local function history_file(settings)
  if not settings.HISTORY[1] or settings.REDIS_URL ~= "" then
    return ""
  end
  local kib = math.floor(settings.HISTORY_BYTES / 1024)
  return lines {
    ("lua_shared_dict history %dk;"):format(kib),
    ("lua_shared_dict history_topics %dk;"):format(1024 + math.ceil(kib / 8)),
  }
end

local function cache_file(settings)
  return ("lua_shared_dict cache %dk;\n"):format(math.floor(settings.CACHE_BYTES / 1024))
end

--- Generates the files, or lists what is missing on this machine.
---@param settings table as Variables.read returns it
---@param machine { run: string, is_root: boolean, user: string, group: string, account: Account?,
---  open_files: number, capacity: { connections: integer }, mesh_port: number, has_ipv6: boolean,
---  nginx_has_lua: boolean, exists: fun(path: string): boolean }
---@return table<string, string>? files texts by name
---@return string[]? missing what the machine lacks
function NginxFiles.files(settings, machine)
  local main, missing = main_file(settings, machine)
  if #missing > 0 then
    return nil, missing
  end
  local limit = settings.MAX_CONNECTIONS_PER_IP
  return {
    ["main.conf"] = main,
    ["lua_path.conf"] = NginxProgram.package_path(machine),
    ["events.conf"] = ("worker_connections %d;\n"):format(machine.capacity.connections),
    ["trusted_proxies.conf"] = trusted_file(settings),
    ["listen.conf"] = listen_file(settings, machine),
    ["redirect.conf"] = redirect_file(settings),
    ["sockets.conf"] = sockets_file(settings),
    ["socket_buffer.conf"] = socket_buffer_file(settings),
    ["limit_conn.conf"] = limit > 0 and ("limit_conn sockets_per_address %d;\n"):format(limit) or "",
    ["site.conf"] = pass_file("site", settings.SITE_URL),
    ["handler.conf"] = handler_file(settings),
    ["site_timeout.conf"] = silence_file(settings.SITE_TIMEOUT),
    ["site_stream_timeout.conf"] = silence_file(settings.SITE_STREAM_TIMEOUT),
    ["handler_timeout.conf"] = handler_timeout_file(settings),
    ["control_listen.conf"] = control_file(settings, machine),
    ["mesh_listen.conf"] = ("listen 127.0.0.1:%d reuseport;\n"):format(machine.mesh_port),
    ["history.conf"] = history_file(settings),
    ["cache.conf"] = cache_file(settings),
    ["authorities.conf"] = authorities_file(settings),
    ["site_listen.conf"] = ("listen unix:%s/internal/site.sock;\n"):format(machine.run),
  }
end

return NginxFiles
