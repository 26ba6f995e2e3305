local DefaultGateway = require "framegate.public.default_gateway"

local HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

describe("the default gateway", function()
  it("is that of the route to everywhere", function()
    local routes = HEAD
      .. "eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      .. "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert.are.equal("172.17.0.1", DefaultGateway.parse(routes))
  end)

  it("is not there without such a route", function()
    assert.is_nil(DefaultGateway.parse(""))
    assert.is_nil(DefaultGateway.parse(HEAD .. "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"))
  end)
end)
