local Address = require "framegate.protocol.address"

describe("an address", function()
  it("is read into its bytes", function()
    assert.are.equal("\203\0\113\7", Address.parse "203.0.113.7")
    assert.are.equal(("\0"):rep(15) .. "\1", Address.parse "::1")
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "300.1.1.1", "1.2.3", "fe80::1%lo", "[::1]", ":::", "::g", "localhost", "unix:" } do
      assert.is_nil(Address.parse(text), text)
    end
  end)

  it("of IPv4 is a network of its own", function()
    assert.are.equal(Address.network "203.0.113.7", Address.network "203.0.113.7")
    assert.are_not.equal(Address.network "203.0.113.7", Address.network "203.0.113.8")
  end)

  it("of IPv6 is in one network with its /64", function()
    assert.are.equal(Address.network "2001:db8:1:2::1", Address.network "2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert.are_not.equal(Address.network "2001:db8:1:2::1", Address.network "2001:db8:1:3::1")
  end)

  it("of IPv4 written as IPv6 is the same", function()
    assert.are.equal(Address.network "203.0.113.7", Address.network "::ffff:203.0.113.7")
    assert.are_not.equal(Address.network "::ffff:203.0.113.7", Address.network "::ffff:203.0.113.8")
  end)

  it("that is none stands for itself", function() assert.are.equal("unix:", Address.network "unix:") end)
end)
