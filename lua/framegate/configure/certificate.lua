-- Checks whether nginx can use TLS_CERTIFICATE with TLS_CERTIFICATE_KEY, and the authorities for Redis and collectors.
-- It runs `nginx -t` before the start, because Lua cannot compare a key with a certificate.

local KeyKind = require "framegate.configure.key_kind"
local Otlp = require "framegate.configure.otlp"
local NginxProgram = require "framegate.configure.nginx_program"

local Certificate = {}

-- The smallest server that makes nginx load both files. It opens no port.
local CONFIGURATION = [[
error_log stderr;
pid nginx/generated/check.pid;
events { }
http {
    client_body_temp_path temp/check;
    proxy_temp_path       temp/check;
    fastcgi_temp_path     temp/check;
    uwsgi_temp_path       temp/check;
    scgi_temp_path        temp/check;
    access_log off;
    server {
        listen unix:RUN/internal/check.sock;
        ssl_certificate     CERTIFICATE;
        ssl_certificate_key KEY;
    }
}
]]

local function problem(settings, name, expected, reason)
  return ("%s=%s: expected %s (%s)"):format(name, settings[name], expected, reason)
end

local function check_file(settings, name, mark, expected)
  local file, err = io.open(settings[name], "rb")
  local text
  if file then
    text, err = file:read("*a")
    file:close()
  end
  if not text then
    return problem(settings, name, "a file that can be read", (err:gsub("^.*: ", "")))
  end
  if not text:find("-----BEGIN [%w ]*" .. mark .. "-----") then
    return problem(settings, name, expected, "it has none")
  end
  if text:find("ENCRYPTED", 1, true) then
    return problem(settings, name, "a key without a passphrase", "openssl pkey -in FILE -out FILE takes it away")
  end
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function check_kinds(settings)
  local ours = KeyKind.of_certificate(read(settings.TLS_CERTIFICATE))
  local key = KeyKind.of_key(read(settings.TLS_CERTIFICATE_KEY))
  if ours and key and ours ~= key then
    local reason = ("the certificate is for a key of the kind %s, this one is %s"):format(ours, key)
    return problem(settings, "TLS_CERTIFICATE_KEY", "the key of TLS_CERTIFICATE", reason)
  end
end

-- nginx: [emerg] SSL_CTX_use_PrivateKey("/key.pem") failed (SSL: error:05800074:x509 certificate routines::key values
-- mismatch)
local function ask_nginx(settings, run)
  local path = run .. "/nginx/generated/check.conf"
  local file = assert(io.open(path, "w"))
  local words = { RUN = run, CERTIFICATE = settings.TLS_CERTIFICATE, KEY = settings.TLS_CERTIFICATE_KEY }
  file:write((CONFIGURATION:gsub("%u%u%u+", words)))
  file:close()
  local pipe = io.popen(("%s -t -q -p '%s/' -c '%s' 2>&1"):format(NginxProgram.command(settings), run, path))
  local said = pipe:read("*a")
  pipe:close()
  os.remove(path)
  os.remove(run .. "/nginx/generated/check.pid")
  local line = said:match("%[emerg%] ([^\n]*)") -- in some versions with the process's id: 18#18:
  if not line then
    return nil
  end
  local reason = line:match("::([^:()]+)%)") or line:gsub("^%d+#%d+: ", "")
  if line:find("mismatch", 1, true) then
    return problem(settings, "TLS_CERTIFICATE_KEY", "the key of TLS_CERTIFICATE", reason)
  end
  local name = (line:find("certificate key", 1, true) or line:find("PrivateKey", 1, true)) and "TLS_CERTIFICATE_KEY"
    or "TLS_CERTIFICATE"
  return problem(settings, name, "what nginx can use", reason)
end

--- Checks the files of TLS_CERTIFICATE and TLS_CERTIFICATE_KEY, if they are set.
---@param settings table as Variables.read returns it
---@param run string the run directory, whose folders exist
---@return string? problem one line that names the variable
function Certificate.check(settings, run)
  if settings.TLS_CERTIFICATE == "" then
    return nil
  end
  return check_file(settings, "TLS_CERTIFICATE", "CERTIFICATE", "certificates in PEM form")
    or check_file(settings, "TLS_CERTIFICATE_KEY", "PRIVATE KEY", "a private key in PEM form")
    or check_kinds(settings)
    or ask_nginx(settings, run)
end

-- Which setting needs authorities, and which one names their file; nil if none does. Both may, with the same file.
local function needing(settings)
  if settings.REDIS_URL ~= "" and settings.REDIS_URL.is_tls then
    return "REDIS_URL", "REDIS_CA"
  elseif Otlp.has_tls(settings) then
    return "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_CERTIFICATE"
  end
end

--- The file with the authorities by which the certificates of Redis and of the collector of spans are checked.
---@param settings table as Variables.read returns it
---@return string? path nil when neither has TLS
function Certificate.authorities(settings)
  local needs, name = needing(settings)
  return needs and (settings[name] ~= "" and settings[name] or "/etc/ssl/certs/ca-certificates.crt")
end

--- Checks that file, if it is needed.
---@param settings table as Variables.read returns it
---@return string? problem one line that names the variable
function Certificate.check_authorities(settings)
  local needs, name = needing(settings)
  local path = Certificate.authorities(settings)
  if not path then
    return nil
  elseif settings[name] == "" and not io.open(path) then
    return ("%s=…: expected %s beside it, or the package ca-certificates (there is no %s)"):format(needs, name, path)
  end
  return settings[name] ~= "" and check_file(settings, name, "CERTIFICATE", "certificates in PEM form") or nil
end

return Certificate
