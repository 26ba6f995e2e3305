local Locations = require "framegate.configure.locations"

local function problems(text) return Locations.check("nginx/locations.d/a.conf", text) end

describe("the settings of a location", function()
  it(
    "are these",
    function()
      assert.are.same(
        {},
        problems [[
        location /ws/a/ { set $ws_rate 2; set $ws_overflow close; include socket.conf; }
        location /ws/b/ {
          set $ws_rate "0.5"; # set $ws_rate abc;
          set $ws_overflow '';
          set $other anything;
        }
        location /ws/c/ { set $ws_rate off; }
        location /ws/d/ { set $ws_rate $rate_of_this_host; }
        location /ws/e/ { set $ws_handler "http://a:3000 weight=3, http://b:3000"; set $ws_text form; set $ws_cache on; }
        location /ws/g/ { set $ws_protocol grip; } location /ws/h/ { set $ws_protocol framegate; }
        location /ws/i/ { set $ws_protocol aws; }
        location /ws/f/ { set $ws_handler "fastcgi://unix:/run/php.sock?script=/srv/a.php&keep=2"; }
      ]]
      )
    end
  )

  it("are refused with their place", function()
    assert.are.same(
      { "nginx/locations.d/a.conf:2: set $ws_rate abc: expected frames a second from 0.01 to 1000000, or off" },
      problems "location /ws/a/ {\n  set $ws_rate abc;\n}\n"
    )
    for _, text in ipairs {
      "set $ws_rate 0;",
      "set $ws_rate -1;",
      'set $ws_rate "";',
      "set $ws_overflow drop;",
      "set $ws_overflows close;",
      "set $ws_handler 127.0.0.1:3000;",
      "set $ws_handler http://$arg_host;",
      'set $ws_handler "http://a, https://b";',
      'set $ws_handler "http://a weight=0";',
      "set $ws_handler fastcgi://a:9000;",
      "set $ws_text xml;",
      "set $ws_cache yes;",
      "set $ws_protocol lambda;",
      "set $ws_protocol http;",
      "set $ws_ratee 1;",
      "set\n  $ws_rate\n  1/s\n  ;",
    } do
      local found = problems(text)
      assert.are.equal(1, #found, text)
      assert.matches(": expected ", found[1])
    end
  end)

  it(
    "name handlers, each once, however they are written",
    function()
      assert.are.same(
        { "http://a weight=2, http://b", "http://c" },
        Locations.handlers {
          'location /ws/a/ { set $ws_handler "http://a weight=2, http://b"; }\n'
            .. "location /ws/b/ { set $ws_handler 'http://a/ weight=2 http://b weight=1'; }",
          "# set $ws_handler http://d;\nlocation /ws/c/ { set $ws_handler http://c; set $ws_rate 1; }",
        }
      )
    end
  )

  it("have the names that nginx/socket.conf describes", function()
    local file = assert(io.open "nginx/socket.conf")
    local described = {}
    for name in file:read("*a"):gmatch "#   set %$(ws_[%w_]+) " do
      described[name] = true
    end
    file:close()
    for name in pairs(Locations.settings) do
      assert.is_true(described[name], name)
      described[name] = nil
    end
    assert.are.same({}, described)
  end)
end)
