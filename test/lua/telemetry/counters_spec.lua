require "support.ngx"
local ffi = require "ffi"
local MasterMemory = require "framegate.runtime.master_memory"

local NAME = "framegate.telemetry.counters"

describe("a histogram", function()
  local Counters, loaded, worker, memory

  before_each(function()
    loaded, worker = package.loaded[NAME], rawget(ngx, "worker")
    package.loaded[NAME] = nil
    rawset(ngx, "worker", { pid = function() return 1 end })
    rawset(ngx.shared.gateway, "add", function() return true end)
    stub(MasterMemory, "get")
    stub(MasterMemory, "keep")
    stub(MasterMemory, "map", function(bytes)
      memory = ffi.new("double[?]", bytes / 8)
      return "memory"
    end)
    stub(MasterMemory, "at", function() return memory end)
    Counters = require(NAME)
    Counters.init()
    Counters.claim()
  end)

  after_each(function()
    for _, name in ipairs { "get", "keep", "map", "at" } do
      MasterMemory[name]:revert()
    end
    rawset(ngx.shared.gateway, "add", nil)
    rawset(ngx, "worker", worker)
    package.loaded[NAME] = loaded
  end)

  local function counts_of(histogram)
    local totals, counts = Counters.totals(), {}
    for i = 1, #histogram.bounds + 1 do
      counts[i] = totals[histogram.first + i - 1]
    end
    return counts, totals[histogram.sum]
  end

  it("counts a value at the first bound that is not below it, also when the value comes again", function()
    local histogram = Counters.place "framegate_request_events"
    assert.are.same({ 1, 2, 4 }, { unpack(histogram.bounds, 1, 3) })
    for _ = 1, 2 do
      for _, value in ipairs { 1, 2, 3, 4, 512, 513 } do
        Counters.observe(histogram, value)
      end
    end
    local counts, sum = counts_of(histogram)
    assert.are.same({ 2, 2, 4, 0, 0, 0, 0, 0, 0, 2, 2 }, counts)
    assert.are.equal(2 * (1 + 2 + 3 + 4 + 512 + 513), sum)
  end)

  it("counts any number of values", function()
    local histogram = Counters.place("framegate_event_duration_seconds").message
    for i = 1, 5000 do
      Counters.observe(histogram, i / 1000)
    end
    local counts = counts_of(histogram)
    assert.are.equal(1, counts[1])
    assert.are.equal(500, counts[10])
    assert.are.equal(2500, counts[12])
    assert.are.equal(0, counts[#counts])
  end)
end)
