require "support.ngx"
local Jwt = require "framegate.runtime.jwt"

describe("a JWT", function()
  local jwt, sha1_bin = Jwt.new "secret", ngx.sha1_bin

  -- Digests of one length.
  before_each(function()
    rawset(ngx, "sha1_bin", function(text) return (text .. ("-"):rep(64)):sub(1, 64) end)
  end)

  after_each(function() rawset(ngx, "sha1_bin", sha1_bin) end)

  local function changed(token, part, value)
    local parts = {}
    for text in token:gmatch "[^.]+" do
      parts[#parts + 1] = text
    end
    parts[part] = value
    return table.concat(parts, ".")
  end

  it("is signed and verified with one key, until its time is over", function()
    local token = jwt:sign { iss = "a", exp = 1000 }
    assert.matches("^[%w_-]+%.[%w_-]+%.[%w_-]+$", token)
    assert.is_true(jwt:is_good(token, 999))
    assert.is_false(jwt:is_good(token, 1000))
    assert.is_false(Jwt.new("another"):is_good(token, 999))
    assert.is_true(Jwt.new("base64:c2VjcmV0"):is_good(token, 999))
    assert.is_false(jwt:is_good(jwt:sign { iss = "a" }, 999))
    assert.is_false(jwt:is_good(jwt:sign { exp = "2000" }, 999))
  end)

  it("is refused if any part is another, or its algorithm is", function()
    local token = jwt:sign { exp = 1000 }
    local header, claims = token:match "^([^.]+)%.([^.]+)"
    for _, wrong in ipairs {
      "",
      "a.b.c",
      header .. "." .. claims,
      header .. "." .. claims .. ".",
      token .. ".x",
      changed(token, 2, (jwt:sign { exp = 5000 }):match "%.([^.]+)%."),
      changed(token, 1, "eyJhbGciOiJub25lIn0"),
      changed(token, 1, "eyJhbGciOiJIUzUxMiJ9"),
      changed(token, 3, "AAAA"),
      ("x"):rep(5000) .. "." .. claims .. ".x",
    } do
      assert.is_false(jwt:is_good(wrong, 0), wrong)
    end
  end)
end)
