-- Frames as a client sends them, built byte by byte from RFC 6455 section 5.2, and the results of reading a stream of them.

local bit = require "bit"
local MessageParser = require "framegate.protocol.message_parser"

local Client = {}

local function big_endian(number, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = string.char(number % 256)
    number = (number - number % 256) / 256
  end
  return table.concat(out)
end
Client.big_endian = big_endian

--- Section 5.3 word for word: byte i with byte i modulo 4 of the mask.
function Client.masked(payload, mask)
  local out = {}
  for i = 1, #payload do
    local j = (i - 1) % 4 + 1
    out[i] = string.char(bit.bxor(payload:byte(i), mask:byte(j)))
  end
  return table.concat(out)
end

--- Only the header. `form` writes the length in 7, 16 or 64 bits whatever it is.
function Client.header(options)
  local length = options.length or 0
  local form = options.form or length < 126 and 7 or length < 65536 and 16 or 64
  local first = (options.fin == false and 0 or 0x80) + (options.reserved or 0) + options.opcode
  local second = options.unmasked and 0 or 0x80
  if form == 7 then
    second = second + length
  else
    second = second + (form == 16 and 126 or 127)
  end
  return string.char(first, second)
    .. (form == 7 and "" or big_endian(length, form / 8))
    .. (options.unmasked and "" or options.mask or "\1\2\3\4")
end

function Client.frame(opcode, payload, options)
  options = options or {}
  local mask = options.mask or "\129\66\203\4"
  return Client.header { opcode = opcode, length = #payload, fin = options.fin, mask = mask }
    .. Client.masked(payload, mask)
end

--- Cuts a text into pieces of these lengths, the last one repeated.
function Client.cut(text, lengths)
  local pieces, position, i = {}, 1, 1
  while position <= #text do
    local length = lengths[i] or lengths[#lengths]
    pieces[i] = text:sub(position, position + length - 1)
    position, i = position + length, i + 1
  end
  return pieces
end

--- Everything that reading the pieces gives: a list of { kind, payload, code }. Stops behind an error.
function Client.read(pieces, max_bytes)
  local messages, results = MessageParser.new(max_bytes or 1048576), {}
  for _, piece in ipairs(pieces) do
    messages:push(piece)
    while true do
      local kind, payload, code = messages:next()
      if not kind then
        break
      end
      if kind ~= "fragment" then
        results[#results + 1] = { kind, payload, code }
      end
      if kind == "error" then
        return results, messages
      end
    end
  end
  return results, messages
end

return Client
