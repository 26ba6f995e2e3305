local MeshPort = require "framegate.configure.mesh_port"

describe("the port of the mesh", function()
  it("is none of the gateway's other ports, on which nobody listens yet", function()
    local own = {}
    for port = 10000, 29899 do
      own[port] = "PORT"
    end
    for _ = 1, 20 do
      local port = MeshPort.choose("/nowhere", own)
      assert.is_true(port >= 29900 and port < 30000, port)
    end
  end)
end)
