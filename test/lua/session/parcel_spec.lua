require "support.ngx"
local Parcel = require "framegate.session.parcel"

describe("a parcel", function()
  it("has what was packed, whatever bytes it is", function()
    local items = { "", "12:", "\0\255\n", ("x"):rep(70000) }
    local facts, unpacked = Parcel.unpack(Parcel.pack({ id = "a", more = { 1, 2 } }, items))
    assert.are.same({ id = "a", more = { 1, 2 } }, facts)
    assert.are.same(items, unpacked)
    local _, none = Parcel.unpack(Parcel.pack({}, {}))
    assert.are.same({}, none)
  end)

  it("is refused when it is cut anywhere in an item, or of another version", function()
    local bytes = Parcel.pack({ a = 1 }, { "first", "second" })
    assert.is_nil(Parcel.unpack("2" .. bytes:sub(2)))
    assert.is_nil((Parcel.unpack ""))
    local whole = { [#Parcel.pack({ a = 1 }, {})] = true, [#Parcel.pack({ a = 1 }, { "first" })] = true }
    for length = 1, #bytes - 1 do
      assert.are.equal(whole[length] or false, Parcel.unpack(bytes:sub(1, length)) ~= nil)
    end
  end)
end)
