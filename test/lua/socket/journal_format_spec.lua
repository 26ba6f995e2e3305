require "support.ngx"
local JournalFormat = require "framegate.socket.journal_format"

local RECORD, END = JournalFormat.RECORD, JournalFormat.END

-- Reads a journal that comes in pieces of this size: its entries, and how many places are damaged.
local function read(bytes, size)
  local reader, found = JournalFormat.reader(), {}
  for from = 1, #bytes + size, size do
    reader:push(bytes:sub(from, from + size - 1))
    for kind, id, text, entry in reader.next, reader do
      found[#found + 1] = { kind, id, text }
      assert.are.equal(entry, bytes:sub(reader.offset + 1, reader.offset + #entry))
    end
  end
  reader:push ""
  while reader:next() do
    error "an entry came late"
  end
  return found, reader.damaged
end

local function ids(found)
  local all = {}
  for i, entry in ipairs(found) do
    all[i] = entry[2]
  end
  return table.concat(all, " ")
end

describe("the bytes of a journal", function()
  local first = JournalFormat.entry(RECORD, "node-worker", "1 2\n\n/ws/a\nhost: a\r\n")
  local second = JournalFormat.entry(END, "other", "")
  local third = JournalFormat.entry(RECORD, "third_", ("x"):rep(300))
  local all = first .. second .. third

  it(
    "are a start, the checksum and length of a body, and the body",
    function() assert.are.equal("\n\nfg1 fc4063f100000007\neother\n", second) end
  )

  it("have the checksum that everybody knows", function()
    assert.are.equal(bit.tobit(0xCBF43926), JournalFormat.checksum "123456789")
    assert.are.equal(0, JournalFormat.checksum "")
  end)

  it("give the entries back, whatever the size of the pieces", function()
    for size = 1, #all do
      local found, damaged = read(all, size)
      assert.are.same({
        { RECORD, "node-worker", "1 2\n\n/ws/a\nhost: a\r\n" },
        { END, "other", "" },
        { RECORD, "third_", ("x"):rep(300) },
      }, found)
      assert.are.equal(0, damaged)
    end
  end)

  it("are empty without entries", function() assert.are.same({}, (read("", 10))) end)

  it("that are cut off anywhere lose only the last entry", function()
    for length = #first + #second + 1, #all - 1 do
      local found, damaged = read(all:sub(1, length), 50)
      assert.are.equal("node-worker other", ids(found))
      assert.are.equal(1, damaged)
    end
  end)

  it("that are overwritten at any place lose only the entry there", function()
    for at = #first + 1, #first + #second do
      local found, damaged = read(all:sub(1, at - 1) .. "\255" .. all:sub(at + 1), 50)
      assert.are.equal("node-worker third_", ids(found))
      assert.are.equal(1, damaged)
    end
  end)

  it("with a length that was made larger, up to beyond the end, lose only that entry", function()
    for _, length in ipairs { "00000008", "000000ff", "000fffff", "ffffffff", "zzzzzzzz" } do
      local broken = second:gsub("00000007", length)
      local found, damaged = read(first .. broken .. third, 50)
      assert.are.equal("node-worker third_", ids(found))
      assert.are.equal(1, damaged)
    end
  end)

  it("with bytes of another file count each damaged place once", function()
    local junk = ("\n\nfg1 junk\n"):rep(5)
    local found, damaged = read(junk .. first .. junk .. second .. third .. junk, 50)
    assert.are.equal("node-worker other third_", ids(found))
    assert.are.equal(3, damaged)
  end)
end)
