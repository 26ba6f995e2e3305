local Account = require "framegate.configure.account"

-- A machine with these users; `unreadable` is what find prints.
local function machine(facts)
  local all =
    { project = "/srv/framegate", run = "/srv/framegate/run", is_root = true, user = "root", users = { "www-data" } }
  for name, value in pairs(facts or {}) do
    all[name] = value
  end
  all.exists = function() return true end
  all.quoted = function(word) return "'" .. word .. "'" end
  all.output = function(command)
    local option, name = command:match("^id (%S+) %-%- (%S+)")
    if not option then
      return all.unreadable or ""
    end
    for _, user in ipairs(all.users) do
      if user == name then
        return option == "-u" and "33" or "group-of-" .. name
      end
    end
    return ""
  end
  return all
end

local function choose(wanted, facts) return Account.choose({ USER_NAME = wanted }, machine(facts)) end

describe("the account of workers and handler", function()
  it("is one that is there for it when root starts them", function()
    assert.are.same({ name = "www-data", group = "group-of-www-data" }, (choose("")))
    assert.are.equal("framegate", choose("", { users = { "www-data", "framegate" } }).name)
    assert.are.equal("ada", choose("ada", { users = { "www-data", "ada" } }).name)
    assert.is_nil((choose("", { users = {} })))
    assert.is_nil((choose("root", { users = { "root", "www-data" } })))
  end)

  it("is nobody else's than that of who starts them, unless root does", function()
    local ada = { is_root = false, user = "ada" }
    assert.are.same({}, { choose("", ada) })
    assert.are.same({}, { choose("ada", ada) })
    local account, problem = choose("www-data", ada)
    assert.is_nil(account)
    assert.matches("^USER_NAME=www%-data: expected a start as root", problem)
  end)

  it(
    "is refused when nobody has that name",
    function() assert.matches("^USER_NAME=bob: expected a user of this machine", select(2, choose("bob"))) end
  )

  it("can read what it needs: else it is refused, or root stays root and says so", function()
    for _, said in ipairs {
      "/root/framegate/lua\n/root/framegate/run",
      "find: '/root/framegate/lua': Permission denied\n/root/framegate/run",
      "find: ‘/root/framegate/lua’: Permission denied",
    } do
      local _, refusal = choose("www-data", { unreadable = said })
      assert.matches("^USER_NAME=www%-data: expected a user who can read /root/framegate/lua: ", refusal)
      local account, problem, note = choose("", { unreadable = said })
      assert.is_nil(account or problem)
      assert.matches("^workers and handler run as root, because www%-data cannot read /root/framegate/lua: ", note)
    end
  end)
end)
