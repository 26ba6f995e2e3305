local Worker = require "support.worker"
local Config = require "framegate.config"

-- The functions of nginx are not in this process; test/gateway/direct-io.test.ts has them.
describe("an nginx without the functions for direct input and output", function()
  local worker, DirectIo

  before_each(function()
    worker = Worker.new()
    package.loaded["framegate.runtime.direct_io"] = nil
    DirectIo = require "framegate.runtime.direct_io"
  end)

  after_each(function() rawset(Config, "DIRECT_IO", nil) end)

  local function start(is_wanted)
    rawset(Config, "DIRECT_IO", is_wanted)
    DirectIo.start()
  end

  it("has one line in the log, and leaves all sockets to ngx_lua", function()
    start(true)
    assert.is_nil(DirectIo.address())
    local chunk = ("a"):rep(DirectIo.CHUNK_BYTES)
    assert.are.equal(chunk, DirectIo.complete(chunk))
    assert.are.equal(1, #worker.lines)
    assert.matches("DIRECT_IO=on.*ngx_lua reads and writes all sockets", worker.lines[1])
  end)

  it("has no line with DIRECT_IO=off", function()
    start(false)
    assert.is_nil(DirectIo.address())
    assert.are.same({}, worker.lines)
  end)
end)
