local ffi = require "ffi"
local Client = require "support.client"
local Frame = require "framegate.protocol.frame"

local OPCODES = { 0x0, 0x1, 0x2, 0x8, 0x9, 0xA }

local function unmasked(buffer, offset, length, mask)
  return ffi.string(Frame.unmask(buffer, offset, length, mask), length)
end

local function mask_number(mask)
  local into = {}
  assert(Frame.read_header(Client.header { opcode = 1, mask = mask }, 1, into))
  return into.mask
end

local function random_bytes(length)
  local out = {}
  for i = 1, length do
    out[i] = string.char(math.random(0, 255))
  end
  return table.concat(out)
end

-- Reads a header behind some other bytes, whole, and every part of it that ends early.
local function check_header(options, size)
  for _, before in ipairs { "", "\255", "other bytes" } do
    local buffer = before .. Client.header(options)
    assert.are.equal(size, #buffer - #before)
    for last = #before, #buffer - 1 do
      local got, violation = Frame.read_header(buffer:sub(1, last), #before + 1, {})
      assert.is_nil(got, "a header of " .. last - #before .. " bytes")
      assert.is_nil(violation)
    end
    local into = {}
    assert.are.equal(size, Frame.read_header(buffer, #before + 1, into))
    assert.are.equal(size, Frame.read_header(buffer .. "payload", #before + 1, {}))
    assert.are.equal(options.length, into.length)
    assert.are.equal(options.opcode, into.opcode)
    assert.are.equal(options.fin ~= false, into.fin)
  end
end

local function violation_of(header)
  local into = {}
  local size, violation = Frame.read_header(header, 1, into)
  assert.is_nil(size)
  assert.is_string(violation)
  assert.is_nil(next(into), "a refused header sets nothing")
  return violation
end

describe("the header of a frame", function()
  it("has a length of 7 bits", function()
    for _, opcode in ipairs(OPCODES) do
      for length = 0, 125 do
        check_header({ opcode = opcode, length = length }, 6)
      end
    end
  end)

  it("has a length of 16 bits", function()
    for _, length in ipairs { 126, 127, 128, 255, 256, 257, 32767, 32768, 65534, 65535 } do
      check_header({ opcode = 2, length = length }, 8)
    end
  end)

  it("has a length of 64 bits", function()
    for _, length in ipairs { 65536, 65537, 2 ^ 24, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32 - 1, 2 ^ 32, 2 ^ 40 + 3, 2 ^ 52 + 1 } do
      check_header({ opcode = 2, length = length }, 14)
    end
  end)

  it("may say that the message goes on, when it is of a data frame", function()
    for _, opcode in ipairs { 0, 1, 2 } do
      check_header({ opcode = opcode, length = 5, fin = false }, 6)
      check_header({ opcode = opcode, length = 500, fin = false }, 8)
    end
  end)

  it("with the largest length there is, is a length and not a mistake", function()
    local into = {}
    assert.are.equal(14, Frame.read_header("\130\255\127" .. ("\255"):rep(7) .. "mask", 1, into))
    assert.is_true(into.length >= 2 ^ 63 - 1024)
  end)
end)

describe("a header that breaks the protocol, by its first two bytes", function()
  it("a reserved bit (R6)", function()
    for _, reserved in ipairs { 0x40, 0x20, 0x10, 0x50, 0x70 } do
      for _, opcode in ipairs(OPCODES) do
        local header = Client.header { opcode = opcode, reserved = reserved }
        assert.matches("reserved bit", violation_of(header))
        assert.matches("reserved bit", violation_of(header:sub(1, 2)))
      end
    end
  end)

  it("a reserved opcode (R7)", function()
    for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
      for _, fin in ipairs { true, false } do
        local header = Client.header { opcode = opcode, fin = fin }
        assert.are.equal("opcode " .. opcode .. " is reserved", violation_of(header))
        assert.are.equal("opcode " .. opcode .. " is reserved", violation_of(header:sub(1, 2)))
      end
    end
  end)

  it("no mask", function()
    for _, opcode in ipairs(OPCODES) do
      for _, length in ipairs { 0, 1, 125 } do
        assert.matches("masked", violation_of(Client.header { opcode = opcode, length = length, unmasked = true }))
      end
    end
    assert.matches("masked", violation_of("\129\126"))
    assert.matches("masked", violation_of("\129\127"))
  end)

  it("a control frame in fragments (R8)", function()
    for _, opcode in ipairs { 8, 9, 10 } do
      assert.matches("fragmented", violation_of(Client.header { opcode = opcode, fin = false }:sub(1, 2)))
    end
  end)

  it("a control frame over 125 bytes (R5)", function()
    for _, opcode in ipairs { 8, 9, 10 } do
      for _, length in ipairs { 126, 65535, 65536 } do
        assert.matches("at most 125", violation_of(Client.header { opcode = opcode, length = length }:sub(1, 2)))
      end
    end
  end)

  it("only the first of them is told apart by a single byte more", function()
    for first = 0, 255 do
      local size, violation = Frame.read_header(string.char(first), 1, {})
      assert.is_nil(size)
      assert.is_nil(violation)
    end
    assert.is_nil((Frame.read_header("", 1, {})))
  end)
end)

describe("a length that is not written in as few bytes as it takes", function()
  local function check(form, lengths, words)
    for _, length in ipairs(lengths) do
      local header = Client.header { opcode = 2, length = length, form = form }
      assert.matches(words, violation_of(header))
      local size, violation = Frame.read_header(header:sub(1, form / 8 + 1), 1, {})
      assert.is_nil(size or violation)
    end
  end

  it("in 16 bits", function() check(16, { 0, 1, 2, 124, 125 }, "as few bytes") end)

  it("in 64 bits", function() check(64, { 0, 1, 125, 126, 127, 65534, 65535 }, "as few bytes") end)

  it("in 64 bits, the first of them set", function()
    for _, top in ipairs { "\128", "\255" } do
      assert.matches("most significant bit", violation_of("\130\255" .. top .. ("\0"):rep(7) .. "mask"))
    end
  end)
end)

describe("unmasking", function()
  it("is right at every length and alignment, whatever the mask", function()
    math.randomseed(6455)
    for length = 0, 70 do
      for offset = 0, 7 do
        local mask, payload = random_bytes(4), random_bytes(length)
        local buffer = random_bytes(offset) .. Client.masked(payload, mask) .. random_bytes(3)
        assert.are.equal(payload, unmasked(buffer, offset, length, mask_number(mask)))
      end
    end
  end)

  it("is right for masks at the edges of a signed number", function()
    local payload = "every byte counts: \0\127\128\255"
    for _, mask in ipairs { "\0\0\0\0", "\255\255\255\255", "\0\0\0\128", "\255\255\255\127", "\128\0\0\0", "\1\0\0\0" } do
      for length = #payload - 4, #payload do
        local part = payload:sub(1, length)
        assert.are.equal(part, unmasked(Client.masked(part, mask), 0, length, mask_number(mask)))
      end
    end
  end)

  it("leaves the buffer as it was", function()
    local buffer = Client.masked("abcdefgh", "mask")
    local before = { buffer:byte(1, -1) }
    Frame.unmask(buffer, 0, 8, mask_number("mask"))
    assert.are.same(before, { buffer:byte(1, -1) })
  end)

  it("grows its memory with the largest payload, and stays right", function()
    math.randomseed(5)
    local block = random_bytes(4099)
    for _, length in ipairs { 4095, 4096, 4097, 65536, 200003, 10 } do
      local payload = block:rep(math.ceil(length / #block)):sub(1, length)
      assert.is_true(
        payload == unmasked(Client.masked(payload, "\7\99\200\31"), 0, length, mask_number("\7\99\200\31"))
      )
    end
  end)

  it("goes on in the middle of a payload with the mask turned", function()
    math.randomseed(53)
    for length = 0, 24 do
      local mask, payload = random_bytes(4), random_bytes(length)
      local buffer = Client.masked(payload, mask)
      for first = 0, length do
        for second = 0, length - first do
          local number, out = mask_number(mask), ""
          for _, part in ipairs { first, second, length - first - second } do
            out = out .. unmasked(buffer, #out, part, number)
            number = Frame.turn(number, part)
          end
          assert.are.equal(payload, out)
        end
      end
    end
  end)

  it("a mask that was turned all around is itself", function()
    local number = mask_number("\1\200\3\250")
    assert.are.equal(number, Frame.turn(number, 0))
    assert.are.equal(number, Frame.turn(number, 4))
    assert.are.equal(number, Frame.turn(number, 65536))
    assert.are.equal(number, Frame.turn(Frame.turn(number, 1), 3))
    assert.are.equal(Frame.turn(number, 1), Frame.turn(number, 2 ^ 40 + 1))
    assert.are_not.equal(number, Frame.turn(number, 1))
  end)
end)
