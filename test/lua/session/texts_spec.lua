require "support.ngx"
local Texts = require "framegate.session.texts"

describe("the texts of a session", function()
  it("are the session frame, also when there is no session", function()
    assert.are.equal(
      '{"session":"tok","for":"key","resumed":true,"received":17,"keep":1.5}',
      Texts.session { token = "tok", key = "key", is_resumed = true, received = 17, keep = 1.5 }
    )
    assert.are.equal(
      '{"session":null,"for":"key","resumed":false,"received":0,"keep":0}',
      Texts.session { key = "key" }
    )
  end)

  it(
    "write numbers with all their digits",
    function() assert.are.equal('\0{"received":123456789012}', Texts.received(123456789012)) end
  )

  it("mark a text that begins as they do, and no other", function()
    assert.are.equal("\0\0", Texts.escape "\0")
    assert.are.equal('\0\0{"received":1}', Texts.escape '\0{"received":1}')
    assert.are.equal("\0\0\0", Texts.escape "\0\0")
    assert.are.equal("a\0", Texts.escape "a\0")
    assert.are.equal("", Texts.escape "")
  end)

  it("are read as what they were, or as nothing of the application", function()
    for _, text in ipairs { "", "a", "a\0", "\0", "\0\0", "\0{}", "\0\0\0a" } do
      assert.are.equal(text, Texts.unescape(Texts.escape(text)))
    end
    assert.is_nil(Texts.unescape(Texts.received(3)))
  end)
end)
