local Stub = require "support.ngx"
local cjson = require "cjson"
local Closes = require "framegate.telemetry.closes"

local function add(members)
  local list = {}
  for _, name in ipairs { "id", "user", "path", "code", "reason", "frames" } do
    list[#list + 1] = { name, members[name] }
  end
  Closes.add(list)
end

local function ids(limit)
  local found = {}
  for i, json in ipairs((Closes.last(limit))) do
    found[i] = cjson.decode(json).id
  end
  return found
end

describe("the last sockets that closed", function()
  before_each(function()
    for name in pairs(Stub.shared.closes) do
      Stub.shared.closes[name] = nil
    end
  end)

  it("has none at first", function()
    local entries, count = Closes.last(10)
    assert.same({}, entries)
    assert.equal(0, count)
  end)

  it("has the newest first, as many as are asked for, with members in their order", function()
    for i = 1, 3 do
      add { id = "socket" .. i, code = 1000, path = "/ws/x", reason = "", frames = { '{"in":1,"out":2}' } }
    end
    local entries, count = Closes.last(2)
    assert.equal(3, count)
    assert.equal(
      '{"time":"1970-01-01T00:00:00.000Z","id":"socket3","path":"/ws/x","code":1000,"reason":"","frames":{"in":1,"out":2}}',
      entries[1]
    )
    assert.same({ "socket3", "socket2" }, ids(2))
  end)

  it("forgets what is older than the last 1,000", function()
    for i = 1, 2345 do
      add { id = i }
    end
    local entries, count = Closes.last(5000)
    assert.equal(1000, #entries)
    assert.equal(1000, count)
    local found = ids(5000)
    assert.equal(2345, found[1])
    assert.equal(1346, found[1000])
  end)

  it("leaves out an entry that a worker has not written yet", function()
    for i = 1, 1001 do
      add { id = i }
    end
    Stub.shared.closes["last"] = 1003
    local entries, count = Closes.last(1000)
    assert.equal(998, #entries)
    assert.equal(1000, count)
    assert.equal(1001, cjson.decode(entries[1]).id)
  end)

  it("keeps entries small and valid, whatever strangers choose", function()
    for _, text in ipairs {
      ("\1"):rep(255),
      ('"'):rep(255),
      ("ü"):rep(127),
      ("😀"):rep(63),
      ("漢"):rep(85),
      "\u{2028}",
    } do
      add { id = ("x"):rep(32), user = text, reason = text, path = text:rep(20), code = 4999 }
      local json = Closes.last(1)[1]
      -- Address, cause, duration, frames and bytes have less than 240.
      assert.is_true(#json < 1024 - 240, #json .. " bytes")
      local entry = cjson.decode(json)
      for _, name in ipairs { "user", "reason", "path" } do
        assert.equal(text:rep(20):sub(1, #entry[name]), entry[name])
        assert.equal(0, #entry[name] % #text:match "^[%z\1-\127\194-\244][\128-\191]*", "it ends between characters")
        assert.is_true(#entry[name] > 0)
      end
    end
  end)
end)
