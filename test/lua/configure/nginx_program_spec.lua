local NginxProgram = require "framegate.configure.nginx_program"

-- What has_lua answers when the nginx at this path prints this; the command that it ran.
local function look(path, printed)
  local ran
  local has_lua, problem = NginxProgram.has_lua({ NGINX = path }, function(command)
    ran = command
    return printed
  end)
  return has_lua, problem, ran
end

describe("an nginx", function()
  it("is asked without its variable NGINX, by the path or on the PATH", function()
    local asked = "PATH=$PATH:/usr/sbin env -u NGINX '%s' -e stderr -V 2>&1"
    assert.are.equal(asked:format "/opt/nginx", (select(3, look("/opt/nginx", ""))))
    assert.are.equal(asked:format "nginx", (select(3, look("", ""))))
  end)

  it("has Lua when it was built with the module", function()
    for _, module in ipairs { "../ngx_lua-0.10.28", "/build/lua-nginx-module", "/build/lua-nginx-module-0.10.26" } do
      local arguments = "configure arguments: --prefix=/opt --add-module=../echo-nginx-module-0.63 --add-module="
      assert.is_true(
        (look("/opt/nginx", "nginx version: openresty/1.27.1.2\n" .. arguments .. module .. " --with-threads"))
      )
    end
  end)

  it("has none when it loads that, or when it was built with a part that needs it", function()
    for _, module in ipairs { "--add-dynamic-module=../lua-nginx-module", "--add-module=../ngx_lua_upstream-0.07" } do
      assert.is_false((look("/opt/nginx", "nginx version: nginx/1.22.1\nconfigure arguments: " .. module)))
    end
  end)

  it(
    "that NGINX does not name may be missing: what is done with it says so",
    function() assert.is_false((look("", "sh: nginx: not found"))) end
  )

  it("that NGINX names is one", function()
    local has_lua, problem = look("/opt/other", "usage: other FILE\nand more")
    assert.is_nil(has_lua)
    assert.are.equal("NGINX=/opt/other: expected the program of an nginx (usage: other FILE)", problem)
    assert.are.equal(
      "NGINX=/opt/other: expected the program of an nginx (it prints nothing)",
      select(2, look("/opt/other", ""))
    )
  end)
end)
