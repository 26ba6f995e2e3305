local ffi = require "ffi"
local Zlib = require "framegate.protocol.zlib"

local function deflate(text, bits) return Zlib.deflate(bits or 15, ffi.cast("const uint8_t *", text), #text) end

-- A text that does not repeat itself, and that differs for each seed.
local function noise(length, seed)
  local out, value = {}, seed or 1
  for i = 1, length do
    value = (value * 16807) % 2147483647
    out[i] = string.char(value % 256)
  end
  return table.concat(out)
end

local function json(bytes)
  local out, i = {}, 0
  repeat
    i = i + 1
    out[i] = ('{"id":%d,"text":"message %d"}'):format(i * 7919, i)
  until i * 28 > bytes
  return table.concat(out, ",")
end

describe("zlib", function()
  setup(function() assert(Zlib.load "libz.so.1") end)

  it("gives back what it has compressed, in every window", function()
    for bits = 9, 15 do
      for _, length in ipairs { 30, 1000, 70000, 300000 } do
        local text = json(length)
        local deflated = assert(deflate(text, bits))
        assert.is_true(#deflated < #text)
        assert.are.equal(text, Zlib.inflate(deflated, #text))
      end
    end
  end)

  it("compresses each message by itself", function()
    local text = json(1000)
    assert.are.equal(deflate(text), deflate(text))
    local other = json(5000)
    deflate(other)
    assert.are.equal(text, Zlib.inflate(deflate(text), #text))
  end)

  it("keeps to the window: nothing refers farther back than the receiver can look", function()
    local half = noise(600)
    local deflated = { [9] = deflate(half .. half, 9), [15] = deflate(half .. half, 15) }
    assert.is_nil(deflated[9])
    assert.is_true(#deflated[15] < 700)
  end)

  it("gives nothing for what does not get shorter", function()
    for _, text in ipairs { "", "a", "hello", noise(100), noise(70000) } do
      assert.is_nil(deflate(text))
    end
  end)

  it("reads the examples of RFC 7692 section 7.2.3", function()
    local hello = "\242\72\205\201\201\7\0"
    for _, example in ipairs {
      hello, -- one block
      "\0\5\0\250\255Hello\0", -- a block without compression
      "\243\72\205\201\201\7\0\0", -- a last block, and an empty one behind it
      "\242\72\5\0\0\0\255\255\202\201\201\7\0", -- two blocks
    } do
      assert.are.equal("Hello", Zlib.inflate(example, 5))
    end
    assert.are.equal("", Zlib.inflate("\0", 5))
  end)

  it("reads a last block with nothing behind it, with another stream behind it, and no data at all", function()
    assert.are.equal("Hello", Zlib.inflate("\243\72\205\201\201\7\0", 5))
    assert.are.equal("HelloHello", Zlib.inflate("\243\72\205\201\201\7\0" .. "\242\72\205\201\201\7\0", 10))
    assert.are.equal("", Zlib.inflate("", 5))
  end)

  it("refuses very many streams that hold nothing", function()
    assert.are.equal("", Zlib.inflate(("\3\0"):rep(16), 10))
    assert.are.same({ nil, "invalid" }, { Zlib.inflate(("\3\0"):rep(100), 10) })
  end)

  it("stops at the first byte too many", function()
    local text = ("x"):rep(1000)
    assert.are.equal(text, Zlib.inflate(deflate(text), 1000))
    assert.are.same({ nil, "too big" }, { Zlib.inflate(deflate(text), 999) })
    assert.are.same({ nil, "too big" }, { Zlib.inflate("\242\72\205\201\201\7\0", 4) })
  end)

  it("takes no memory for a bomb", function()
    local bomb = deflate(("\0"):rep(50 * 1024 * 1024))
    assert.is_true(#bomb < 250000)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    assert.are.same({ nil, "too big" }, { Zlib.inflate(bomb, 100000) })
    local grown = collectgarbage "count" - before
    collectgarbage "restart"
    assert.is_true(grown < 300, grown .. " KB")
  end)

  it("refuses what is no deflate data", function()
    for _, data in ipairs {
      "\255", -- a reserved kind of block
      "\1\5\0\5\0Hello", -- a length whose check is wrong
      "Hello",
      "\242\72\205\201\201\7\0\255", -- something behind the last block
      noise(1000),
    } do
      assert.are.same({ nil, "invalid" }, { Zlib.inflate(data, 100000) })
    end
  end)

  it("refuses every message that was cut off", function()
    for _, text in ipairs { ("Hello, "):rep(6), json(3000) } do
      local deflated = deflate(text)
      for length = 1, #deflated - 1 do
        local message, err = Zlib.inflate(deflated:sub(1, length), 100000)
        assert.are.equal("invalid", err, length .. " of " .. #deflated .. " bytes gave " .. tostring(message))
      end
    end
  end)

  it("reads a good message after any other", function()
    local good = deflate(json(500))
    for _, bad in ipairs { "\255", good:sub(1, 10), noise(50), deflate(("x"):rep(100000)) } do
      Zlib.inflate(bad, 1000)
      assert.are.equal(json(500), Zlib.inflate(good, 1000))
    end
  end)

  it("is not used when it cannot be loaded, or is another library", function()
    local ok, err = Zlib.load "libnone.so.9"
    assert.is_false(ok)
    assert.matches("libnone", err)
    ok, err = Zlib.load "libm.so.6"
    assert.is_false(ok)
    assert.is_string(err)
    assert.is_true(Zlib.load "libz.so.1")
  end)
end)
