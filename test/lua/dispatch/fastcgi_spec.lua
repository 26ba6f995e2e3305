local Cosocket = require "support.cosocket"
local Stub = require "support.ngx"
local Config = require "framegate.config"
local FastCgi = require "framegate.dispatch.fastcgi"
local Log = require "framegate.runtime.log"
local Records = require "framegate.protocol.fastcgi"

local PEER = { script = "/srv/app/socket.php", pool_size = 0 }

local function record(type, content)
  return string.char(1, type, 0, 1, math.floor(#content / 256), #content % 256, 0, 0) .. content
end

local function stdout(content) return record(6, content) end
local function stderr(content) return record(7, content) end
local function ending(status) return record(3, ("\0"):rep(4) .. string.char(status or 0) .. "\0\0\0") end

local function event(changes)
  local facts = {
    kind = "message",
    id = "nodeworker/1",
    time = "now",
    number = 1,
    body = "hello",
    content_type = "text/plain; charset=utf-8",
    connection = {
      options = {},
      id = "nodeworker",
      path = "/ws/a?b=c",
      handshake = "host: example.com:8443\r\ncookie: d=e\r\nproxy: http://f\r\n"
        .. "x-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: https\r\n",
    },
  }
  for name, value in pairs(changes or {}) do
    facts.connection[name] = value
  end
  return facts
end

-- The parameters of a request, by name.
local function params_of(pieces)
  local text = table.concat(pieces)
  local _, _, _, _, high, low = text:byte(17, 22)
  local rest, params = text:sub(25, 24 + high * 256 + low), {}
  local function length()
    local first = rest:byte()
    local size = first < 128 and 1 or 4
    local value = first
    if size == 4 then
      local _, b, c, d = rest:byte(1, 4)
      value = ((first - 128) * 256 + b) * 65536 + c * 256 + d
    end
    rest = rest:sub(size + 1)
    return value
  end
  while rest ~= "" do
    local name = length()
    local value = length()
    params[rest:sub(1, name)] = rest:sub(name + 1, name + value)
    rest = rest:sub(name + value + 1)
  end
  return params
end

describe("FastCGI", function()
  before_each(function()
    Stub.now = 1000
    rawset(Config, "MAX_ANSWER_BYTES", 1000)
    rawset(ngx, "worker", { exiting = function() return false end })
    stub(Log, "limited")
  end)

  after_each(function()
    rawset(Config, "MAX_ANSWER_BYTES", nil)
    rawset(ngx, "worker", nil)
    Log.limited:revert()
  end)

  it(
    "names an event's headers as CGI does",
    function()
      assert.are.same({
        GATEWAY_INTERFACE = "CGI/1.1",
        SERVER_SOFTWARE = "framegate",
        SERVER_PROTOCOL = "HTTP/1.1",
        REQUEST_METHOD = "POST",
        REQUEST_URI = "/ws/a?b=c",
        DOCUMENT_URI = "/ws/a",
        QUERY_STRING = "b=c",
        REQUEST_SCHEME = "https",
        HTTPS = "on",
        SERVER_NAME = "example.com",
        SERVER_PORT = "8443",
        REMOTE_ADDR = "10.0.0.1",
        REDIRECT_STATUS = "200",
        SCRIPT_FILENAME = "/srv/app/socket.php",
        SCRIPT_NAME = "/socket.php",
        DOCUMENT_ROOT = "/srv/app",
        CONTENT_TYPE = "text/plain; charset=utf-8",
        CONTENT_LENGTH = "5",
        HTTP_HOST = "example.com:8443",
        HTTP_COOKIE = "d=e",
        HTTP_X_FORWARDED_FOR = "10.0.0.1",
        HTTP_X_FORWARDED_PROTO = "https",
        HTTP_ACCEPT_ENCODING = "identity",
        HTTP_CE_SPECVERSION = "1.0",
        HTTP_CE_SOURCE = "/framegate/node",
        HTTP_CE_CONNECTIONID = "nodeworker",
        HTTP_CE_TYPE = "framegate.message",
        HTTP_CE_ID = "nodeworker/1",
        HTTP_CE_TIME = "now",
        HTTP_CE_EVENTNUMBER = "1",
      }, params_of(FastCgi.request(event())(PEER)))
    end
  )

  it("has the script of the address that gets the request, and asks to be kept where it is", function()
    local request = FastCgi.request(event())
    local pieces = request { script = "/other.php", pool_size = 1 }
    assert.are.same({ "/other.php", "/" }, { params_of(pieces).SCRIPT_FILENAME, params_of(pieces).DOCUMENT_ROOT })
    assert.are.equal(1, table.concat(pieces):byte(11))
    assert.are.equal(0, table.concat(request(PEER)):byte(11))
    assert.are.equal("/srv/app/socket.php", params_of(request(PEER)).SCRIPT_FILENAME)
  end)

  it("refuses parameters that do not fit one record", function()
    local function with(bytes) return event { handshake = "cookie: " .. ("a"):rep(bytes) .. "\r\n" } end
    local pieces = FastCgi.request(with(60000))(PEER)
    assert.are.equal(60000, #params_of(pieces).HTTP_COOKIE)
    assert.are.same({ nil, "refused" }, { FastCgi.request(with(Records.MAX_PARAMS - 3000)) })
  end)

  local function read(item)
    local sockets = Cosocket.play { item }
    local socket = ngx.socket.tcp()
    socket:connect("unix:/run/php.sock")
    local response, err, is_garbled = FastCgi.read({ socket = socket, peer = item.peer or PEER }, Stub.now + 1)
    local body, body_err
    if response then
      body, body_err = response:read_body(1000)
    end
    return { response = response, err = err or body_err, is_garbled = is_garbled, body = body, sockets = sockets }
  end

  it("reads status, headers and body from pieces of any size", function()
    local head = "Status: 404 Not Found\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nContent-type: text/plain\r\n\r\n"
    local all = stdout(head .. "he") .. stdout "llo" .. stdout "" .. ending()
    for _, size in ipairs { 1, 7, 8, 1000 } do
      local pieces = {}
      for at = 1, #all, size do
        pieces[#pieces + 1] = all:sub(at, at + size - 1)
      end
      local got = read { reads = pieces }
      assert.are.same({ 404, "hello" }, { got.response.status, got.body })
      assert.are.same({ "a=b", "c=d" }, got.response.headers["set-cookie"])
      assert.is_nil(got.response.headers.status)
    end
  end)

  it("has a status where the script gives none", function()
    local function status(head) return read({ reads = { stdout(head .. "\r\n\r\n") .. ending() } }).response.status end
    assert.are.equal(200, status "content-type: a/b")
    assert.are.equal(302, status "location: /a")
    local got = read { reads = { stdout "Status: fine\r\n\r\n" .. ending() } }
    assert.are.same({ nil, true }, { got.response, got.is_garbled })
  end)

  it("logs what the script writes to its error stream, some of it", function()
    local got = read { reads = { stderr(("a line\n"):rep(30)) .. stdout "a: b\n\nx" .. stderr "late" .. ending() } }
    assert.are.equal("x", got.body)
    assert.stub(Log.limited).was.called(20)
  end)

  it("distinguishes the end of a request from a connection that broke", function()
    assert.are.equal("broken", read({ reads = { stdout "a: b\r\n\r\nhel" } }).err)
    assert.are.equal("timeout", read({ reads = { stdout "a: b\r\n\r\nhel" }, err = "timeout" }).err)
    local got = read { reads = { ending() } }
    assert.are.same({ nil, true }, { got.response, got.is_garbled })
    assert.is_true(read({ reads = { "HTTP/1.1 400 Bad Request\r\n\r\n" } }).is_garbled)
  end)

  it("does not count as run what an overloaded server has refused", function()
    local got = read { reads = { ending(2) } }
    assert.are.same({ 503, "0" }, { got.response.status, got.response.headers["retry-after"] })
    assert.is_false(got.response:is_reusable())
    assert.is_true(read({ reads = { ending(1) } }).is_garbled)
  end)

  it("is followed by another request only where the server keeps the connection", function()
    local all = stdout "a: b\r\n\r\nx" .. ending()
    local kept = { script = "/a.php", pool_size = 1 }
    assert.is_true(read({ reads = { all }, peer = kept }).response:is_reusable())
    assert.is_false(read({ reads = { all } }).response:is_reusable())
    assert.is_false(read({ reads = { all .. "more" }, peer = kept }).response:is_reusable())
  end)
end)
