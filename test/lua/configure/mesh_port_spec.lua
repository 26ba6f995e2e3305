local MeshPort = require "framegate.configure.mesh_port"

-- What is chosen when chance brings these ports, in this order. Another program may listen on one of the last ones.
local function choose(settings, ports)
  local i = 0
  return MeshPort.choose("/nowhere", settings, function()
    i = i + 1
    return ports[i] - 10000
  end)
end

describe("the port of the mesh", function()
  it("is any that is free", function() assert.is_true(choose({}, { 29999, 29998, 29997 }) >= 29997) end)

  it("is none that the settings name", function()
    local settings = {
      PORT = 10001,
      PORTS = { 10002, 10003 },
      CONTROL_PORT = "127.0.0.1:10004",
      HANDLER_URL = { "http://127.0.0.1:10005" },
      REDIS_URL = "redis://127.0.0.1:10006/1",
    }
    local port = choose(settings, { 10001, 10002, 10003, 10004, 10005, 10006, 29999, 29998, 29997 })
    assert.is_true(port >= 29997)
  end)
end)
