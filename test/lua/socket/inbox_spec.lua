require "support.worker".new()
local Inbox = require "framegate.socket.inbox"

describe("an inbox", function()
  it("gives what waits in its order, and is gone with the last", function()
    local before = Inbox.total()
    local inbox = Inbox.add_message(nil, "one", true)
    inbox = Inbox.add_message(inbox, "two", false)
    inbox = Inbox.add_close(inbox, { code = 1000, cause = "client" })
    assert.are.equal(before + 2, Inbox.total())
    assert.are.equal(6, inbox.bytes)
    local item
    item, inbox = Inbox.take(inbox)
    assert.are.same({ payload = "one", is_text = true }, item)
    item, inbox = Inbox.take(inbox)
    assert.are.same({ payload = "two", is_text = false }, item)
    assert.are.equal(before, Inbox.total())
    item, inbox = Inbox.take(inbox)
    assert.are.same({ code = 1000, cause = "client" }, item)
    assert.is_nil(inbox)
    assert.is_nil(Inbox.take(inbox))
  end)

  it("takes nothing behind a close", function()
    local before = Inbox.total()
    local inbox = Inbox.add_close(nil, { code = 1001, cause = "stop" })
    inbox = Inbox.add_message(inbox, "late", true)
    assert.are.equal(before, Inbox.total())
    local _, rest = Inbox.take(inbox)
    assert.is_nil(rest)
  end)

  it("is full by number or by bytes", function()
    assert.is_false(Inbox.is_full(nil))
    local inbox
    for _ = 1, 63 do
      inbox = Inbox.add_message(inbox, "", true)
    end
    assert.is_false(Inbox.is_full(inbox))
    assert.is_true(Inbox.is_full(Inbox.add_message(inbox, "", true)))
    assert.is_false(Inbox.is_full(Inbox.add_message(nil, ("x"):rep(999), true)))
    assert.is_true(Inbox.is_full(Inbox.add_message(nil, ("x"):rep(1000), true)))
  end)

  local function of(alarm) return { kind = "alarm", alarm = alarm } end

  it("holds an alarm behind messages and before a close, and skips one that is over", function()
    local alarm, other = {}, {}
    local inbox = Inbox.add_message(nil, "one", true)
    inbox = Inbox.add_own(Inbox.add_own(inbox, of(alarm)), of(other))
    inbox = Inbox.add_close(inbox, { cause = "stop" })
    inbox = Inbox.add_own(inbox, of {})
    local _, item
    _, inbox = Inbox.take(inbox)
    alarm.is_over = true
    item, inbox = Inbox.take(inbox)
    assert.are.equal(other, item.alarm)
    item, inbox = Inbox.take(inbox)
    assert.are.equal("stop", item.cause)
    assert.is_nil(inbox)
    assert.are.same({ nil, nil }, { Inbox.take(Inbox.add_own(nil, of(alarm))) })
  end)

  it("drops messages and alarms at a stop, and keeps a close", function()
    Inbox.drop_messages()
    local inbox = Inbox.add_own(Inbox.add_message(nil, "one", true), of {})
    assert.are.same({ nil, nil }, { Inbox.take(inbox) })
    inbox = Inbox.add_close(Inbox.add_own(nil, of {}), { cause = "stop" })
    assert.are.equal("stop", (Inbox.take(inbox)).cause)
    inbox = Inbox.add_message(nil, "of a session", true)
    assert.are.same({ nil, inbox }, { Inbox.take(inbox, true) })
    inbox = Inbox.add_own(inbox, of {})
    assert.are.same({ { is_text = true }, { kind = "alarm" } }, (Inbox.contents(inbox)))
  end)
end)
