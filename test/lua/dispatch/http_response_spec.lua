local Stub = require "support.ngx"
local Client = require "support.client"
local HttpResponse = require "framegate.dispatch.http_response"

-- A cosocket that has these pieces to read, and then ends with `err`.
local function socket_of(pieces, err)
  local next_piece = 0
  return {
    settimeout = function(self, milliseconds) self.limited_to = milliseconds end,
    receiveany = function(_, most)
      next_piece = next_piece + 1
      local piece = pieces[next_piece]
      if not piece then
        return nil, err or "timeout"
      end
      assert(#piece > 0 and #piece <= most)
      return piece
    end,
    -- How many of the pieces were read.
    taken = function() return math.min(next_piece, #pieces) end,
  }
end

local DEADLINE, MOST = 1000, 1000000

local function read_from(socket) return HttpResponse.read(socket, DEADLINE) end

local function read(text, err) return read_from(socket_of({ text }, err)) end

local function body_of(text, err)
  local response = assert(read(text, err))
  local body, body_err = response:read_body(MOST)
  return body, body_err, response
end

local LENGTH = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world"
local CHUNKED =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;name=value\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
local TRAILER = CHUNKED:gsub("0\r\n\r\n$", "0\r\nchecksum: 1\r\nother: 2\r\n\r\n")
local UNTIL_CLOSE = "HTTP/1.1 200 OK\r\n\r\nhello world"

describe("status and headers", function()
  it("are read, names in lower case", function()
    local response =
      read "HTTP/1.1 404 Not Found\r\nContent-Type:  text/plain; a=b: c\r\nX-Empty:\r\ncontent-length:0\r\n\r\n"
    assert.are.equal(404, response.status)
    assert.are.same(
      { ["content-type"] = "text/plain; a=b: c", ["x-empty"] = "", ["content-length"] = "0" },
      response.headers
    )
  end)

  it("that come more than once are a list, in their order", function()
    local response =
      read "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX: y\r\nset-cookie: b=2\r\nSET-COOKIE: c=3\r\ncontent-length: 0\r\n\r\n"
    assert.are.same({ "a=1", "b=2", "c=3" }, response.headers["set-cookie"])
    assert.are.equal("y", response.headers.x)
  end)

  it("may come in any pieces", function()
    local head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
    for size = 1, #head do
      local response = read_from(socket_of(Client.cut(head, { size })))
      assert.are.equal(200, response.status)
      assert.are.same({ ["content-type"] = "text/plain", ["content-length"] = "0" }, response.headers)
    end
  end)

  it("need no reason phrase", function()
    assert.are.equal(200, read("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n").status)
    assert.are.equal(599, read("HTTP/1.0 599 \r\ncontent-length: 0\r\n\r\n").status)
  end)

  it("may end their lines without a CR (RFC 9112 section 2.2)", function()
    local response = read "HTTP/1.1 200 OK\nA: b\nContent-Length: 0\n\n"
    assert.are.same({ a = "b", ["content-length"] = "0" }, response.headers)
  end)

  it("follow interim responses, which do not count (RFC 9110 section 15.2)", function()
    local text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx: 1\r\n\r\n" .. LENGTH
    for last = 1, #text - 1 do
      local response = read_from(socket_of { text:sub(1, last), text:sub(last + 1) })
      assert.are.equal(200, response.status)
      assert.is_nil(response.headers.x)
      assert.are.equal("hello world", response:read_body(MOST))
      assert.is_true(response:is_reusable())
    end
  end)

  it("that are none are refused, at the first byte that shows it", function()
    for _, text in ipairs {
      "SSH-2.0\r\n\r\n",
      "HTTP/2 200 OK\r\n\r\n",
      "HTTP/1.1 OK\r\n\r\n",
      "\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 X\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "S",
      "HTTX",
    } do
      local response, err, is_garbled = read(text)
      assert.is_nil(response, text)
      assert.is_true(is_garbled, text)
      assert.is_string(err)
    end
  end)

  it("are no larger than 64 KB", function()
    assert.is_table((read("HTTP/1.1 200 OK\r\na: " .. ("x"):rep(65000) .. "\r\n\r\n")))
    local _, err, is_garbled = read_from(socket_of(Client.cut("HTTP/1.1 200 OK\r\na: " .. ("x"):rep(70000), { 60000 })))
    assert.are.same({ "the headers of the answer are larger than 64 KB", true }, { err, is_garbled })
  end)

  it("that never end: the socket's error", function()
    assert.are.same({ nil, "closed" }, { read_from(socket_of({}, "closed")) })
    for last = 1, #LENGTH - #"hello world" - 1 do
      assert.are.same({ nil, "closed" }, { read(LENGTH:sub(1, last), "closed") })
    end
  end)
end)

describe("the deadline", function()
  after_each(function() Stub.now = 0 end)

  it("is that of the whole response, however it drips", function()
    Stub.now = 999
    local socket = socket_of { LENGTH:sub(1, 10), LENGTH:sub(11, 70), "x" }
    local receive = socket.receiveany
    socket.receiveany = function(...)
      Stub.now = Stub.now + 0.5
      return receive(...)
    end
    local response = read_from(socket)
    assert.are.equal(500, socket.limited_to)
    assert.are.same({ nil, "timeout" }, { response:read_body(MOST) })
    assert.are.equal(2, socket.taken())
  end)
end)

describe("a body", function()
  it("has one of four ends", function()
    for _, text in ipairs { LENGTH, CHUNKED, TRAILER, UNTIL_CLOSE } do
      assert.are.equal("hello world", (body_of(text, "closed")))
    end
    assert.are.equal("", (body_of "HTTP/1.1 204 No Content\r\n\r\n"))
  end)

  it("in any two pieces, and byte by byte", function()
    for _, text in ipairs { LENGTH, CHUNKED, TRAILER, UNTIL_CLOSE } do
      for last = 1, #text - 1 do
        local response = read_from(socket_of({ text:sub(1, last), text:sub(last + 1) }, "closed"))
        assert.are.equal("hello world", response:read_body(MOST), "split behind byte " .. last)
      end
      local response = read_from(socket_of(Client.cut(text, { 1 }), "closed"))
      assert.are.equal("hello world", response:read_body(MOST))
    end
  end)

  it("is empty", function()
    assert.are.equal("", (body_of "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    assert.are.equal("", (body_of "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"))
    assert.are.equal("", (body_of("HTTP/1.1 200 OK\r\n\r\n", "closed")))
    assert.are.equal("", (body_of "HTTP/1.1 304 Not Modified\r\n\r\n"))
  end)

  it("is empty after 204 and 304, whatever the headers announce (RFC 9112 section 6.3)", function()
    for _, status in ipairs { "204 No Content", "304 Not Modified" } do
      for _, header in ipairs { "content-length: 5", "transfer-encoding: chunked" } do
        local body, err, response = body_of("HTTP/1.1 " .. status .. "\r\n" .. header .. "\r\n\r\n")
        assert.are.same({ "", nil }, { body, err })
        assert.is_false(response:is_reusable(), "what follows may be a body")
      end
    end
  end)

  it("is as large as it may be, or an error", function()
    local chunked = CHUNKED:gsub("\r\n\r\n.*", "\r\n\r\n") .. ("8\r\n12345678\r\n"):rep(5) .. "0\r\n\r\n"
    local length = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n" .. ("12345678"):rep(5)
    local until_close = "HTTP/1.1 200 OK\r\n\r\n" .. ("12345678"):rep(5)
    for _, text in ipairs { chunked, length, until_close } do
      assert.are.equal(40, #assert(read(text, "closed")):read_body(40))
      assert.are.same({ nil, HttpResponse.TOO_LARGE }, { assert(read(text, "closed")):read_body(39) })
    end
  end)

  it("that is announced too large is not read", function()
    local socket = socket_of { "HTTP/1.1 200 OK\r\ncontent-length: 41\r\n\r\n", "x" }
    assert.are.same({ nil, HttpResponse.TOO_LARGE }, { read_from(socket):read_body(40) })
    assert.are.equal(1, socket.taken())
  end)

  it("of any bytes", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local body = table.concat(bytes) .. "\r\n0\r\n\r\n"
    assert.are.equal(body, (body_of("HTTP/1.1 200 OK\r\ncontent-length: " .. #body .. "\r\n\r\n" .. body)))
    local chunked = ("%X\r\n%s\r\n0\r\n\r\n"):format(#body, "BODY"):gsub("BODY", function() return body end)
    assert.are.equal(body, (body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" .. chunked)))
  end)

  it("has chunks whose sizes are hexadecimal", function()
    for _, size in ipairs { "a", "A", "1f", "0A", "00000000000c", "fF" } do
      local body = ("x"):rep(tonumber(size, 16))
      local chunk = size .. "\r\n" .. body .. "\r\n"
      assert.are.equal(body, (body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" .. chunk .. "0\r\n\r\n")))
    end
  end)

  it("is chunked when both are said (RFC 9112 section 6.3)", function()
    local head = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
    local body, _, response = body_of(head .. "5\r\nhello\r\n0\r\n\r\n")
    assert.are.equal("hello", body)
    assert.is_false(response:is_reusable())
  end)

  it("comes in pieces as they arrive, without waiting for more", function()
    local head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    local socket = socket_of { head, "6\r\nline1\n\r\n", "6\r\nli", "ne2\n\r\n", "0\r\n\r\n" }
    local response = read_from(socket)
    assert.are.equal("line1\n", response:next_piece())
    assert.are.equal(2, socket.taken())
    assert.are.equal("li", response:next_piece())
    assert.are.equal("ne2\n", response:next_piece())
    assert.is_false(response:is_reusable())
    assert.are.same({ nil, nil }, { response:next_piece() })
    assert.is_true(response:is_reusable())
    assert.are.same({ nil, nil }, { response:next_piece() })
  end)

  it("is read no further than it goes", function()
    local socket = socket_of({ LENGTH, "HTTP/1.1 500 the next answer\r\n\r\n" }, "closed")
    local response = read_from(socket)
    assert.are.equal("hello world", response:read_body(MOST))
    assert.are.equal(1, socket.taken())
  end)

  it("of many pieces", function()
    local body = ("0123456789"):rep(50000)
    local text = "HTTP/1.1 200 OK\r\ncontent-length: " .. #body .. "\r\n\r\n" .. body
    assert.is_true(body == read_from(socket_of(Client.cut(text, { 1000 }))):read_body(MOST))
  end)
end)

describe("an answer that breaks off", function()
  it("anywhere in the body is an error, not a shorter body", function()
    for _, text in ipairs { LENGTH, CHUNKED, TRAILER } do
      local head = select(2, text:find("\r\n\r\n", 1, true))
      for last = head, #text - 1 do
        for _, err in ipairs { "closed", "timeout" } do
          local body, got, response = body_of(text:sub(1, last), err)
          assert.is_nil(body, "behind byte " .. last)
          assert.are.equal(err, got)
          assert.is_false(response:is_reusable())
        end
      end
    end
  end)

  it("without a length: only its close is the end", function()
    assert.are.equal("hello world", (body_of(UNTIL_CLOSE, "closed")))
    assert.are.same(
      { nil, "timeout" },
      { body_of(UNTIL_CLOSE, "timeout"), (select(2, body_of(UNTIL_CLOSE, "timeout"))) }
    )
  end)

  it("with a chunk that has no size is an error", function()
    for _, chunk in ipairs {
      "\r\n",
      "x\r\nhello\r\n0\r\n\r\n",
      ";a\r\n",
      "-1\r\n",
      "5x\r\n",
      "fffffffffffffffff\r\n",
    } do
      local ok, body, err = pcall(body_of, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" .. chunk)
      assert.is_true(ok, "it throws: " .. tostring(body))
      assert.are.same({ nil, "a chunk's size is missing" }, { body, err })
    end
  end)

  it("with a length that is none is an error", function()
    for _, length in ipairs { "abc", "", "5\r\ncontent-length: 6", "-1", "9999999999999999" } do
      local ok, body = pcall(function()
        local response = read("HTTP/1.1 200 OK\r\ncontent-length: " .. length .. "\r\n\r\nhello")
        return response and response:read_body(MOST)
      end)
      assert.is_true(ok, "it throws: " .. tostring(body))
      assert.is_nil(body)
    end
  end)
end)

describe("the connection", function()
  local function is_reusable(text) return select(3, body_of(text, "closed")):is_reusable() end

  it("may carry another request when the body had an end of its own", function()
    for _, text in ipairs { LENGTH, CHUNKED, TRAILER, "HTTP/1.1 204 No Content\r\n\r\n" } do
      assert.is_true(is_reusable(text))
    end
    assert.is_true(is_reusable((LENGTH:gsub("\r\n", "\r\nConnection: keep-alive\r\n", 1))))
  end)

  it("may not when its close was the end, or was announced", function()
    assert.is_false(is_reusable(UNTIL_CLOSE))
    for _, text in ipairs { LENGTH, CHUNKED } do
      for _, value in ipairs { "close", "Close", "x, close" } do
        assert.is_false(is_reusable((text:gsub("\r\n", "\r\nConnection: " .. value .. "\r\n", 1))))
      end
    end
    assert.is_false(is_reusable((LENGTH:gsub("1%.1", "1.0"))))
    assert.is_true(is_reusable((LENGTH:gsub("1%.1", "1.0"):gsub("\r\n", "\r\nConnection: Keep-Alive\r\n", 1))))
  end)

  it("may not before the body was read", function()
    assert.is_false(read(LENGTH):is_reusable())
    assert.is_false(read(CHUNKED):is_reusable())
    assert.is_true(read("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"):is_reusable())
  end)

  it("may not when bytes came that belong to no answer", function()
    assert.is_false(is_reusable(LENGTH .. "HTTP/1.1 200 OK\r\n\r\n"))
    assert.is_false(is_reusable(CHUNKED .. "x"))
  end)

  it("carries one answer after the other", function()
    local socket =
      socket_of({ LENGTH, CHUNKED:sub(1, 60), CHUNKED:sub(61), "HTTP/1.1 204 No Content\r\n\r\n", LENGTH }, "closed")
    for _, expected in ipairs { "hello world", "hello world", "", "hello world" } do
      local response = assert(read_from(socket))
      assert.are.equal(expected, response:read_body(MOST))
      assert.is_true(response:is_reusable())
    end
    assert.are.same({ nil, "closed" }, { read_from(socket) })
  end)

  it("may not when a transfer coding is unknown", function()
    local _, err, is_garbled = read "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
    assert.are.same({ "the transfer encoding of the answer is not chunked", true }, { err, is_garbled })
  end)
end)
