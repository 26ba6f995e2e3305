local Resp = require "framegate.cluster.resp"

local huge = math.huge

local function read_all(bytes, piece_bytes)
  local parser, all = Resp.parser(), {}
  for first = 1, #bytes, piece_bytes or #bytes do
    parser:feed(bytes:sub(first, first + (piece_bytes or #bytes) - 1))
    while true do
      local value, kind, broken = parser:next()
      assert.is_nil(broken)
      if not kind then
        break
      end
      all[#all + 1] = { kind, value }
    end
  end
  return all
end

local function reply(bytes)
  local all = read_all(bytes)
  assert.are.equal(1, #all)
  assert.are.equal("reply", all[1][1])
  return all[1][2]
end

local function refusal(bytes, limits)
  local parser = Resp.parser(limits)
  parser:feed(bytes)
  local value, kind, broken = parser:next()
  assert.is_nil(value)
  assert.is_nil(kind)
  assert.are.same({ nil, nil, broken }, { parser:next() })
  return broken
end

describe("a command", function()
  it("is an array of blobs", function()
    assert.are.equal("*2\r\n$3\r\nGET\r\n$4\r\nk\r\n\0\r\n", Resp.encode { "GET", "k\r\n\0" })
    assert.are.equal("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", Resp.encode { "ECHO", "" })
  end)

  it(
    "has numbers as text",
    function()
      assert.are.equal(
        "*5\r\n$1\r\nX\r\n$1\r\n7\r\n$2\r\n-1\r\n$13\r\n1234567890123\r\n$3\r\n0.5\r\n",
        Resp.encode { "X", 7, -1, 1234567890123, 0.5 }
      )
    end
  )

  it("is appended to others, with its size", function()
    local pieces = { "before" }
    local count, bytes = Resp.append(pieces, 1, { "PING" })
    assert.are.equal("before*1\r\n$4\r\nPING\r\n", table.concat(pieces))
    assert.are.same({ #pieces, 14 }, { count, bytes })
  end)
end)

describe("a reply", function()
  it("is a value of each type", function()
    assert.are.equal("OK", reply "+OK\r\n")
    assert.are.equal("", reply "+\r\n")
    assert.are.equal("a\r\nb\0", reply "$5\r\na\r\nb\0\r\n")
    assert.are.equal("", reply "$0\r\n\r\n")
    assert.are.equal(-12, reply ":-12\r\n")
    assert.are.equal(1.25, reply ",1.25\r\n")
    assert.are.equal(huge, reply ",inf\r\n")
    assert.are.equal(-huge, reply ",-inf\r\n")
    local nan = reply ",nan\r\n"
    assert.are_not.equal(nan, nan)
    assert.are.equal(Resp.null, reply "_\r\n")
    assert.are.equal(Resp.null, reply "$-1\r\n")
    assert.are.equal(Resp.null, reply "*-1\r\n")
    assert.is_true(reply "#t\r\n")
    assert.is_false(reply "#f\r\n")
    assert.are.equal(
      "3492890328409238509324850943850943825024385",
      reply "(3492890328409238509324850943850943825024385\r\n"
    )
    assert.are.equal("Some text", reply "=13\r\ntxt:Some text\r\n")
  end)

  it("is a list, or a table by key", function()
    assert.are.same({ 1, { "a", Resp.null }, {}, false }, reply "*4\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n*0\r\n#f\r\n")
    assert.are.same({ "x", "y" }, reply "~2\r\n+x\r\n+y\r\n")
    assert.are.same(
      { a = 1, b = { c = {} }, [7] = false },
      reply "%3\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n%0\r\n:7\r\n#f\r\n"
    )
    assert.are.same({}, reply "*0\r\n")
  end)

  it("is an error that differs from every other value", function()
    for _, bytes in ipairs { "-NOSCRIPT No matching script.\r\n", "!29\r\nNOSCRIPT No matching script.\r\n" } do
      local value = reply(bytes:gsub("^!29", "!28"))
      assert.is_true(Resp.is_error(value))
      assert.are.equal("NOSCRIPT", value.code)
      assert.are.equal("NOSCRIPT No matching script.", value.message)
    end
    for _, value in ipairs { reply "+ERR\r\n", reply "*0\r\n", reply "_\r\n", reply "#f\r\n", reply "%0\r\n" } do
      assert.is_false(Resp.is_error(value))
    end
    assert.is_true(Resp.is_error(reply("*1\r\n-ERR no\r\n")[1]))
  end)

  it("has no attributes", function()
    assert.are.same({ 1, 2 }, reply "|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+a\r\n*1\r\n+b\r\n:2\r\n")
    assert.are.equal("x", reply "|0\r\n+x\r\n")
    assert.are.same({ 1 }, reply "*1\r\n|0\r\n:1\r\n")
  end)
end)

describe("a push", function()
  it("comes between replies, and in the middle of one", function()
    local push = ">3\r\n+message\r\n$1\r\nc\r\n$2\r\nhi\r\n"
    local expected = { { "push", { "message", "c", "hi" } }, { "reply", { 1, { "a", 2 } } } }
    assert.are.same(expected, read_all(push .. "*2\r\n:1\r\n*2\r\n+a\r\n:2\r\n"))
    assert.are.same(expected, read_all("*2\r\n:1\r\n*2\r\n+a\r\n" .. push .. ":2\r\n"))
    assert.are.same(expected, read_all("*2\r\n" .. push .. ":1\r\n*2\r\n+a\r\n:2\r\n"))
  end)
end)

describe("bytes in pieces", function()
  it("have the same values wherever they are cut", function()
    local bytes =
      "*3\r\n$5\r\na\r\nbc\r\n%1\r\n+k\r\n=7\r\ntxt:abc\r\n~0\r\n>2\r\n+a\r\n$0\r\n\r\n-ERR x\r\n|1\r\n+a\r\n+b\r\n,1.5\r\n_\r\n"
    local expected = read_all(bytes)
    assert.are.equal(5, #expected)
    for size = 1, #bytes do
      assert.are.same(expected, read_all(bytes, size))
    end
  end)

  it("cost time in proportion to their number", function()
    local function seconds(megabytes)
      local bytes = megabytes * 1024 * 1024
      local piece = ("x"):rep(4096)
      local began = os.clock()
      local parser = Resp.parser()
      parser:feed("$" .. bytes .. "\r\n")
      for _ = 1, bytes / 4096 do
        parser:feed(piece)
        assert(not select(2, parser:next()))
      end
      parser:feed "\r\n"
      assert.are.equal(bytes, #parser:next())
      return os.clock() - began
    end
    seconds(1)
    assert.is_true(seconds(64) < 2) -- joining at each piece would copy 500 GB
  end)
end)

describe("what is not RESP3", function()
  it("is refused for good", function()
    assert.matches("unknown type", refusal "HTTP/1.1 400 Bad Request\r\n")
    assert.matches("a length", refusal "$x\r\n")
    assert.matches("a length", refusal "$-2\r\n")
    assert.matches("a length", refusal "*-2\r\n")
    assert.matches("longer than its length", refusal "$1\r\nabcd\r\n")
    assert.matches("a number", refusal ":1a\r\n")
    assert.matches("a number", refusal ",\r\n")
    assert.matches("a boolean", refusal "#x\r\n")
    assert.matches("NaN", refusal "%1\r\n,nan\r\n+x\r\n")
  end)

  it("includes streamed values", function()
    for _, bytes in ipairs { "$?\r\n", "*?\r\n", "%?\r\n", "~?\r\n" } do
      assert.matches("a length", refusal(bytes))
    end
    assert.matches("unknown type", refusal ";4\r\n")
    assert.matches("unknown type", refusal ".\r\n")
  end)

  it("includes what is over a bound", function()
    assert.matches("a length", refusal("$11\r\n", { bytes = 10 }))
    assert.matches("a length", refusal("*11\r\n", { items = 10 }))
    assert.matches("a length", refusal "$536870913\r\n")
    assert.matches("a length", refusal "*99999999999999999999\r\n")
    assert.matches("too long", refusal("+" .. ("x"):rep(20000)))
    assert.matches("too deeply", refusal(("*1\r\n"):rep(100)))
  end)
end)
