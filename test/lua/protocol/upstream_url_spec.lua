local UpstreamUrl = require "framegate.protocol.upstream_url"

local function facts(url)
  local target = assert(UpstreamUrl.handler(url))
  local port, script = tostring(target.port), tostring(target.script)
  return ("%s %s %s %s %s"):format(target.scheme, target.host, port, script, tostring(target.keep))
end

local function texts(list)
  local found = {}
  for i, target in ipairs(assert(UpstreamUrl.list(list))) do
    found[i] = UpstreamUrl.text(target)
  end
  return found
end

describe("the URL of a handler", function()
  it("is one of HTTP or of FastCGI", function()
    for url, expected in pairs {
      ["http://a"] = "http a 80 nil nil",
      ["https://[::1]:444/"] = "https [::1] 444 nil nil",
      ["http://unix:/run/a.sock"] = "http unix:/run/a.sock nil nil nil",
      ["fastcgi://a:9000?script=/a.php"] = "fastcgi a 9000 /a.php nil",
      ["fastcgi://[::1]:9000?keep=0&script=/srv/a-b_c.d/e.php"] = "fastcgi [::1] 9000 /srv/a-b_c.d/e.php 0",
      ["fastcgi://unix:/run/php.sock?script=/srv/a.php&keep=12"] = "fastcgi unix:/run/php.sock nil /srv/a.php 12",
    } do
      assert.are.equal(expected, facts(url))
    end
  end)

  it("is refused otherwise, with what is expected", function()
    for _, url in ipairs {
      "",
      "a:80",
      "ws://a",
      "http://a/path",
      "http://a:0",
      "http://unix:a.sock",
      "http://unix:/" .. ("a"):rep(107),
      "fastcgi://a?script=/a.php",
      "fastcgi://a:9000",
      "fastcgi://a:9000?",
      "fastcgi://a:9000?keep=1",
      "fastcgi://a:9000?script=a.php",
      "fastcgi://a:9000?script=/srv/",
      "fastcgi://a:9000?script=/a.php&",
      "fastcgi://a:9000?&script=/a.php",
      "fastcgi://a:9000?script=/a.php&keep=1001",
      "fastcgi://a:9000?script=/a.php&keep=-1",
      "fastcgi://a:9000?script=/a.php&other=1",
      "fastcgi://a:9000?script=/a$b.php",
      "fastcgi://a:9000/?script=/a.php",
      "fastcgi://unix:/" .. ("a"):rep(107) .. "?script=/a.php",
    } do
      local target, expected = UpstreamUrl.handler(url)
      assert.is_nil(target, url)
      assert.is_string(expected, url)
    end
    assert.matches("107 bytes", select(2, UpstreamUrl.handler("http://unix:/" .. ("a"):rep(107))))
    assert.matches("fastcgi://", select(2, UpstreamUrl.handler("ws://a")), 1, true)
    assert.not_matches("fastcgi", select(2, UpstreamUrl.http "fastcgi://a:9000?script=/a.php"))
  end)

  it("has a weight in a list", function()
    assert.are.same({ "http://a:3000 weight=3", "http://b" }, texts "http://a:3000 weight=3, http://b/")
    assert.are.same({ "https://a", "https://b weight=1000" }, texts "  https://a weight=1\thttps://b,weight=1000 ")
    assert.are.same(
      { "fastcgi://a:1?script=/a.php", "fastcgi://a:2?script=/b.php" },
      texts "fastcgi://a:1?script=/a.php fastcgi://a:2?script=/b.php"
    )
  end)

  it("is of one scheme in a list, with one weight behind it", function()
    for list, expected in pairs {
      ["http://a, https://b"] = "one scheme",
      ["http://a, fastcgi://b:1?script=/a.php"] = "one scheme",
      ["weight=3 http://a"] = "weight=N",
      ["http://a weight=0"] = "weight=N",
      ["http://a weight=1001"] = "weight=N",
      ["http://a weight=1.5"] = "weight=N",
      ["http://a weight="] = "weight=N",
      ["http://a weight=2 weight=3"] = "weight=N",
      ["http://a,b"] = "http://host:port",
      [" , "] = "http://host:port",
      [("http://aaaaaaaaaaaa "):rep(200)] = "2000 bytes",
    } do
      local found, words = UpstreamUrl.list(list)
      assert.is_nil(found, list)
      assert.matches(expected, words, 1, true)
    end
  end)
end)
