local Variables = require "framegate.configure.variables"
local NginxFiles = require "framegate.configure.nginx_files"

local function settings(values)
  return assert(Variables.read(function(name) return (values or {})[name] end, "/run/framegate"))
end

local function machine(changes)
  local facts = {
    run = "/run/framegate",
    is_root = false,
    user = "www",
    group = "www",
    open_files = 1048576,
    capacity = { connections = 16384 },
    mesh_port = 12345,
    has_ipv6 = true,
    exists = function(path) return path:find("^/usr/lib/nginx/modules/") ~= nil end,
  }
  for name, value in pairs(changes or {}) do
    facts[name] = value
  end
  return facts
end

local function files(values, changes) return assert(NginxFiles.files(settings(values), machine(changes))) end

local function silence(seconds)
  return ("proxy_read_timeout %d000ms;\nproxy_send_timeout %d000ms;\nclient_body_timeout %d000ms;\nsend_timeout %d000ms;\n"):format(
    seconds,
    seconds,
    seconds,
    seconds
  )
end

describe("the generated files", function()
  it(
    "are these, with the defaults",
    function()
      assert.are.same({
        ["main.conf"] = "load_module /usr/lib/nginx/modules/ndk_http_module.so;\n"
          .. "load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n"
          .. "worker_processes auto;\nworker_rlimit_nofile 1048576;\npid /run/framegate/nginx.pid;\n",
        ["lua_path.conf"] = 'lua_package_path "$prefix/lua/?.lua;$prefix/lua/vendor/?.lua;/usr/share/lua/5.1/?.lua;;";\n',
        ["authorities.conf"] = "",
        ["history.conf"] = "",
        ["cache.conf"] = "lua_shared_dict cache 16384k;\n",
        ["mesh_listen.conf"] = "listen 127.0.0.1:12345 reuseport;\n",
        ["events.conf"] = "worker_connections 16384;\n",
        ["listen.conf"] = "listen 8080 so_keepalive=60s:20s:4;\nlisten [::]:8080 so_keepalive=60s:20s:4;\n",
        ["redirect.conf"] = "",
        ["sockets.conf"] = "location ^~ /ws/ {\n    include socket.conf;\n}\n",
        ["socket_buffer.conf"] = "lua_socket_buffer_size 256;\n",
        ["limit_conn.conf"] = "limit_conn sockets_per_address 100;\n",
        ["site.conf"] = "proxy_pass http://site;\n",
        ["site_timeout.conf"] = silence(300),
        ["site_stream_timeout.conf"] = silence(3600),
        ["handler.conf"] = "proxy_pass http://handler;\n",
        ["handler_timeout.conf"] = "proxy_read_timeout 35000ms;\nproxy_send_timeout 35000ms;\n"
          .. "fastcgi_read_timeout 35000ms;\nfastcgi_send_timeout 35000ms;\n",
        ["control_listen.conf"] = "listen unix:/run/framegate/control/control.sock;\n",
        ["site_listen.conf"] = "listen unix:/run/framegate/internal/site.sock;\n",
        ["trusted_proxies.conf"] = table.concat({
          "geo $realip_remote_addr $from_trusted_proxy {",
          "    default 0;",
          "}",
          "real_ip_header X-Forwarded-For;",
          "real_ip_recursive on;",
          'map "$from_trusted_proxy:$http_x_forwarded_proto" $forwarded_proto {',
          "    ~^1:\\s*(?<trusted_proto>[^,\\s]+) $trusted_proto;",
          "    default $scheme;",
          "}",
          'map "$from_trusted_proxy:$http_x_forwarded_host" $forwarded_host {',
          "    ~^1:\\s*(?<trusted_host>[^,\\s]+) $trusted_host;",
          "    default $own_host;",
          "}",
          "",
        }, "\n"),
      }, files())
    end
  )

  it("reserve two memories for histories, when topics are kept, which nginx empties together", function()
    local function history(bytes) return files({ HISTORY = "a=1/1m", HISTORY_BYTES = bytes })["history.conf"] end
    assert.are.equal("lua_shared_dict history 4096k;\nlua_shared_dict history_topics 1536k;\n", history "4m")
    assert.are.equal("lua_shared_dict history 5120k;\nlua_shared_dict history_topics 1664k;\n", history "5m")
  end)

  it("say by which authorities the certificate of Redis is checked", function()
    local function redis_tls(changes) return files(changes)["authorities.conf"] end
    assert.are.equal(
      "lua_ssl_trusted_certificate /ca.pem;\nlua_ssl_verify_depth 5;\n",
      redis_tls { REDIS_URL = "rediss://redis", REDIS_CA = "/ca.pem" }
    )
    assert.matches("^lua_ssl_trusted_certificate /etc/ssl/", redis_tls { REDIS_URL = "rediss://redis" })
    assert.are.equal("", redis_tls { REDIS_URL = "redis://redis" })
  end)

  it("say where it listens", function()
    assert.are.equal(
      "listen 9000 so_keepalive=60s:20s:4;\nlisten [::]:9000 so_keepalive=60s:20s:4;\n",
      files({ PORT = "9000" })["listen.conf"]
    )
    assert.are.equal(
      "listen 9000 so_keepalive=60s:20s:4;\n",
      files({ PORT = "9000" }, { has_ipv6 = false })["listen.conf"]
    )
    assert.are.equal(
      "listen 80 so_keepalive=60s:20s:4;\nlisten 81 so_keepalive=60s:20s:4;\n",
      files({ PORT = "9000", PORTS = "80,81" }, { has_ipv6 = false })["listen.conf"]
    )
    assert.are.equal("listen unix:/run/c.sock;\n", files({ CONTROL_SOCKET = "/run/c.sock" })["control_listen.conf"])
    local token = ("t"):rep(16)
    local function control(port, changes)
      return files({ CONTROL_SOCKET = "/run/c.sock", CONTROL_PORT = port, CONTROL_TOKEN = token }, changes)["control_listen.conf"]
    end
    assert.are.equal("listen unix:/run/c.sock;\nlisten 9000;\nlisten [::]:9000;\n", control("9000"))
    assert.are.equal("listen unix:/run/c.sock;\nlisten 9000;\n", control("9000", { has_ipv6 = false }))
    assert.are.equal("listen unix:/run/c.sock;\nlisten 127.0.0.1:9000;\n", control("127.0.0.1:9000"))
    assert.are.equal("listen unix:/run/c.sock;\nlisten [::1]:9000;\n", control("[::1]:9000"))
    assert.are.equal(
      "location ^~ /live/ {\n    include socket.conf;\n}\n",
      files({ SOCKET_PATH = "/live/" })["sockets.conf"]
    )
  end)

  it("listen for TLS where there is a certificate, and redirect to it", function()
    local tls = { TLS_CERTIFICATE = "/c.pem", TLS_CERTIFICATE_KEY = "/k.pem", TLS_REDIRECT = "on" }
    local out = files(tls, { has_ipv6 = false })
    assert.are.equal(
      "listen 8080 so_keepalive=60s:20s:4;\nlisten 443 ssl so_keepalive=60s:20s:4;\n"
        .. "ssl_certificate /c.pem;\nssl_certificate_key /k.pem;\ninclude tls.conf;\n",
      out["listen.conf"]
    )
    assert.are.equal(
      "if ($is_to_redirect) {\n    return 426;\n}\nerror_page 426 = @to_https;\nlocation @to_https {\n"
        .. "    keepalive_timeout 0;\n    return 308 https://$redirect_host$request_uri;\n}\n",
      out["redirect.conf"]
    )
    tls.TLS_PORT = "8443"
    assert.matches("https://$redirect_host:8443$request_uri;", files(tls)["redirect.conf"], 1, true)
    assert.matches("listen [::]:8443 ssl so_keepalive=60s:20s:4;", files(tls)["listen.conf"], 1, true)
  end)

  it("count the sockets of an address, or do not", function()
    assert.are.equal("limit_conn sockets_per_address 5;\n", files({ MAX_CONNECTIONS_PER_IP = "5" })["limit_conn.conf"])
    assert.are.equal("", files({ MAX_CONNECTIONS_PER_IP = "off" })["limit_conn.conf"])
    assert.are.equal("", files({ MAX_CONNECTIONS_PER_IP = "0" })["limit_conn.conf"])
  end)

  it("wait a little longer for a plain route of the handler than for an event", function()
    assert.are.equal(
      "proxy_read_timeout 5500ms;\nproxy_send_timeout 5500ms;\n"
        .. "fastcgi_read_timeout 5500ms;\nfastcgi_send_timeout 5500ms;\n",
      files({ HANDLER_TIMEOUT = "500ms" })["handler_timeout.conf"]
    )
    assert.are.equal(
      "proxy_read_timeout 86405000ms;",
      files({ HANDLER_TIMEOUT = "24h" })["handler_timeout.conf"]:match "^[^\n]*"
    )
  end)

  it("pass plain requests of the handler in its protocol", function()
    local function handler(urls) return files({ HANDLER_URL = urls })["handler.conf"] end
    assert.are.equal("proxy_pass https://handler;\nproxy_ssl_name a;\n", handler "https://a weight=3, https://b")
    local out = handler "fastcgi://unix:/run/php.sock?script=/srv/app/socket.php&keep=2 weight=2"
    assert.matches("\nfastcgi_param SCRIPT_FILENAME /srv/app/socket.php;\n", out, 1, true)
    assert.matches("\nfastcgi_param SCRIPT_NAME /socket.php;\nfastcgi_param DOCUMENT_ROOT /srv/app;\n", out, 1, true)
    assert.matches("\nfastcgi_pass handler;\n$", out)
  end)

  it("use the scheme of the site", function()
    assert.are.equal("proxy_pass http://site;\n", files({ SITE_URL = "http://b" })["site.conf"])
    assert.are.equal("proxy_pass https://site;\nproxy_ssl_name b;\n", files({ SITE_URL = "https://b" })["site.conf"])
  end)

  it("trust each proxy, for its address and for what it forwards", function()
    local out = files({ TRUSTED_PROXIES = "10.0.0.0/8, ::1" })["trusted_proxies.conf"]
    assert.matches("    default 0;\n    10.0.0.0/8 1;\n    ::1 1;\n}\n", out, 1, true)
    assert.matches("set_real_ip_from 10.0.0.0/8;\nset_real_ip_from ::1;\n", out, 1, true)
  end)

  it("ask for as many connections and files as there can be", function()
    local out = files({}, { open_files = 1024, capacity = { connections = 989 } })
    assert.are.equal("worker_connections 989;\n", out["events.conf"])
    assert.matches("worker_rlimit_nofile 1024;", out["main.conf"], 1, true)
  end)

  it("name the user of the workers only for root: nobody else can change it", function()
    local root = { is_root = true, user = "root", group = "root" }
    assert.matches("user root root;\n", files({}, root)["main.conf"], 1, true)
    root.account = { name = "ada", group = "staff" }
    assert.matches("user ada staff;\n", files({}, root)["main.conf"], 1, true)
    assert.is_nil(files()["main.conf"]:find("user", 1, true))
    assert.matches("worker_processes 3;", files({ WORKERS = "3" })["main.conf"], 1, true)
  end)

  it("are whole lines, with a semicolon or brace at the end of each", function()
    for name, text in pairs(files { MAX_CONNECTIONS_PER_IP = "off", TRUSTED_PROXIES = "10.0.0.0/8" }) do
      assert.is_true(text == "" or text:sub(-1) == "\n", name)
      for line in text:gmatch("[^\n]+") do
        assert.matches("[;{}]$", line)
      end
    end
  end)
end)

describe("nginx's modules", function()
  it("are looked for in the folders of several distributions", function()
    local out = files({}, { exists = function(path) return path:find("^/usr/share/nginx/modules/") ~= nil end })
    assert.matches("load_module /usr/share/nginx/modules/ngx_http_lua_module.so;", out["main.conf"], 1, true)
    assert.matches("load_module /usr/share/nginx/modules/ndk_http_module.so;", out["main.conf"], 1, true)
  end)

  it("that are missing are named, with the package that has them", function()
    local out, missing = NginxFiles.files(settings(), machine { exists = function() return false end })
    assert.is_nil(out)
    assert.are.same({
      "nginx's module ndk_http_module.so is missing: run apt-get install libnginx-mod-http-ndk",
      "nginx's module ngx_http_lua_module.so is missing: run apt-get install libnginx-mod-http-lua",
    }, missing)
  end)

  it("that are missing in part are named alone", function()
    local _, missing =
      NginxFiles.files(settings(), machine { exists = function(path) return path:find("ndk") ~= nil end })
    assert.are.same(
      { "nginx's module ngx_http_lua_module.so is missing: run apt-get install libnginx-mod-http-lua" },
      missing
    )
  end)

  it("that are built in are not loaded, and nginx finds its own libraries of Lua", function()
    local out = files({}, { exists = function() return false end, nginx_has_lua = true })
    assert.is_nil(out["main.conf"]:find("load_module", 1, true))
    assert.are.equal('lua_package_path "$prefix/lua/?.lua;$prefix/lua/vendor/?.lua;;";\n', out["lua_path.conf"])
  end)
end)
