require "support.ngx"
local Request = require "framegate.session.request"

describe("the parameter ws-session", function()
  local NONCE = ("n"):rep(22)

  it("is taken out of the target, wherever it is", function()
    for target, expected in pairs {
      ["/ws/a"] = { "/ws/a" },
      ["/ws/a?x=1"] = { "/ws/a?x=1" },
      ["/ws/a?ws-session=v"] = { "/ws/a", "v" },
      ["/ws/a?ws-session="] = { "/ws/a", "" },
      ["/ws/a?x=1&ws-session=v"] = { "/ws/a?x=1", "v" },
      ["/ws/a?ws-session=v&x=1&y"] = { "/ws/a?x=1&y", "v" },
      ["/ws/a?x=?&ws-session=v"] = { "/ws/a?x=?", "v" },
      ["/ws/a?ws-session=v&ws-session=w"] = { "/ws/a", "v" },
      ["/ws/a?my-ws-session=v"] = { "/ws/a?my-ws-session=v" },
      ["/ws/ws-session=v"] = { "/ws/ws-session=v" },
    } do
      assert.are.same(expected, { Request.split(target) })
    end
  end)

  it("asks for a new session with a nonce", function()
    assert.are.same({ key = NONCE, is_new = true, received = 0 }, Request.read("new." .. NONCE))
    assert.is_table(Request.read("new." .. ("_"):rep(64)))
  end)

  it("asks for an old one with a token and a number", function()
    assert.are.same({ key = NONCE, is_new = false, received = 17 }, Request.read(NONCE .. ".17"))
    assert.are.equal(999999999999999, Request.read(NONCE .. ".999999999999999").received)
  end)

  it("is nothing else", function()
    for _, value in ipairs {
      "",
      "new.",
      "new." .. ("n"):rep(21),
      "new." .. ("n"):rep(65),
      "new." .. NONCE .. "!",
      NONCE,
      NONCE .. ".",
      NONCE .. ".-1",
      NONCE .. ".1.5",
      NONCE .. ".1e3",
      NONCE .. ".1000000000000000",
      ("n"):rep(21) .. ".1",
      ("n"):rep(65) .. ".1",
      NONCE .. "\n.1",
    } do
      local request, err = Request.read(value)
      assert.is_nil(request)
      assert.matches("expected ws%-session", err)
    end
  end)
end)
