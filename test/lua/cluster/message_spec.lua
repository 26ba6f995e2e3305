local Message = require "framegate.cluster.message"

describe("a message between nodes", function()
  it("keeps every byte of the payload", function()
    local payload = "a\nb\0\255{}\n"
    local head, rest = Message.decode(Message.encode({ op = "publish", args = { topic = "ü\n" } }, payload))
    assert.are.same({ op = "publish", args = { topic = "ü\n" } }, head)
    assert.are.equal(payload, rest)
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "{}", "\n", "no json\n", "1\n", '"a"\n', "{\n}" } do
      assert.is_nil((Message.decode(text)))
    end
  end)
end)
