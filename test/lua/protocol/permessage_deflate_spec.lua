local PermessageDeflate = require "framegate.protocol.permessage_deflate"

local PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

local function negotiate(...) return { PermessageDeflate.negotiate(...) } end

describe("permessage-deflate", function()
  it("is agreed without context takeover, whatever of that was offered", function()
    for _, offer in ipairs {
      "permessage-deflate",
      "permessage-deflate; client_max_window_bits",
      "permessage-deflate;client_max_window_bits=8",
      "permessage-deflate; client_max_window_bits=15; server_no_context_takeover",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      "  permessage-deflate ;\tclient_no_context_takeover  ",
    } do
      assert.are.same({ 15, PLAIN }, negotiate(offer), offer)
    end
  end)

  it("is agreed with the window of the client, also in quotes (section 7.1.2.1)", function()
    for bits = 9, 15 do
      local expected = { bits, PLAIN .. "; server_max_window_bits=" .. bits }
      for _, form in ipairs { "%d", '"%d"', '"\\%d"', " = %d" } do
        local value = form:format(bits):gsub("^ = ", "")
        assert.are.same(expected, negotiate("permessage-deflate; server_max_window_bits=" .. value), value)
      end
      local both = ("permessage-deflate; client_max_window_bits; server_max_window_bits = %d"):format(bits)
      assert.are.same(expected, negotiate(both))
    end
  end)

  it("is declined with what cannot be met, or is not allowed", function()
    for _, parameters in ipairs {
      "server_max_window_bits=8", -- zlib cannot
      "server_max_window_bits=7",
      "server_max_window_bits=16",
      "server_max_window_bits=015",
      "server_max_window_bits",
      "server_max_window_bits=",
      'server_max_window_bits=""',
      'server_max_window_bits="15',
      "client_max_window_bits=7",
      "client_max_window_bits=16",
      "client_max_window_bits=x",
      "server_no_context_takeover=1",
      'client_no_context_takeover="true"',
      "server_no_context_takeover; server_no_context_takeover",
      "client_max_window_bits; client_max_window_bits=10",
      "server_max_window_bits=10; server_max_window_bits=10",
      "unknown",
      "unknown=1",
      "",
      ";",
      "a b",
      "=9",
    } do
      assert.are.same({}, negotiate("permessage-deflate; " .. parameters), parameters)
    end
  end)

  it("is what the first offer asks for that can be met", function()
    for _, offers in ipairs {
      "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10, permessage-deflate",
      "x-webkit-deflate-frame, permessage-deflate; foo, permessage-deflate; server_max_window_bits=10",
      'other; a="x, permessage-deflate", permessage-deflate; server_max_window_bits=10',
      'other; a="\\", permessage-deflate", permessage-deflate; server_max_window_bits=10',
      ",, permessage-deflate; server_max_window_bits=10,",
    } do
      assert.are.same({ 10, PLAIN .. "; server_max_window_bits=10" }, negotiate(offers), offers)
    end
    assert.are.same({ 15, PLAIN }, negotiate "permessage-deflate, permessage-deflate; server_max_window_bits=10")
  end)

  it("may be offered in several headers", function()
    local offers = { "foo", "permessage-deflate; server_max_window_bits=8", "permessage-deflate" }
    assert.are.same({ 15, PLAIN }, negotiate(offers))
  end)

  it("is not agreed when nobody offers it", function()
    for _, offers in ipairs { false, "", "x-webkit-deflate-frame", "permessage-deflatex", "deflate-frame", '"', ";;" } do
      assert.are.same({}, negotiate(offers or nil), tostring(offers))
    end
  end)

  it("takes a time that grows with the offers only linearly", function()
    local before = os.clock()
    for _, text in ipairs {
      ("permessage-deflate; a="):rep(5000),
      ('"'):rep(100000),
      ("; "):rep(50000),
      (" "):rep(100000),
    } do
      negotiate(text)
    end
    assert.is_true(os.clock() - before < 2)
  end)
end)
