require "support.ngx"

local RedisCommands = require "framegate.cluster.redis_commands"
local Resp = require "framegate.cluster.resp"

local commands, queued

before_each(function()
  rawset(ngx, "sha1_bin", function(text) return #text == 1 and "\1\171" or "\255\0" end)
  queued = 0
  commands = RedisCommands.new(function(bytes) queued = queued + bytes end)
end)

-- What would be sent now: a list of commands.
local function sent()
  local pieces, bytes = commands:take()
  local text, parser, all = table.concat(pieces or {}), Resp.parser(), {}
  assert.are.equal(bytes, #text)
  commands:sent(bytes)
  parser:feed(text)
  for command in function() return (parser:next()) end do
    all[#all + 1] = command
  end
  return all
end

-- A callback, and the list of what it was called with.
local function recorder()
  local calls = {}
  return calls, function(reply, err) calls[#calls + 1] = { reply, err } end
end

local function error_reply(text)
  local parser = Resp.parser()
  parser:feed("-" .. text .. "\r\n")
  return (parser:next())
end

it("commands leave together, and are answered in their order", function()
  local first, on_first = recorder()
  local second, on_second = recorder()
  assert.is_true(commands:add(on_first, { "GET", "a" }))
  assert.is_true(commands:add(on_second, { "GET", "b" }))
  assert.are.equal(queued, commands.waiting_bytes)
  assert.are.same({ { "GET", "a" }, { "GET", "b" } }, sent())
  assert.are.same({}, sent())
  assert.are.equal(0, commands.waiting_bytes)
  assert.is_true(commands.requests:answer(false))
  assert.is_true(commands.requests:answer(error_reply "ERR no"))
  assert.are.same({ { false } }, first)
  assert.are.equal("ERR", second[1][2].code)
  assert.is_false(commands.requests:answer "nobody asked")
end)

it("the bytes of a write count until it has ended", function()
  commands:add(nil, { "PING" })
  local _, bytes = commands:take()
  commands:add(nil, { "PING" })
  assert.are.equal(28, commands.waiting_bytes)
  commands:sent(bytes)
  assert.are.equal(14, commands.waiting_bytes)
end)

it("what has no answer at the end is lost once, and nothing is queued any more", function()
  local calls, callback = recorder()
  commands:add(callback, { "GET", "a" })
  commands:in_batches("SUBSCRIBE", { "c" }, callback)
  commands:eval("x", { 0 }, function(_, err)
    callback(nil, err)
    assert.is_false(commands:add(callback, { "PING" }))
  end)
  commands:lose()
  commands:lose()
  assert.are.same({ { nil, "lost" }, { nil, "lost" }, { nil, "lost" } }, calls)
  assert.are.equal(0, commands.waiting_bytes)
  assert.is_false(commands:in_batches("SUBSCRIBE", {}, callback))
end)

describe("a script", function()
  it("sends its text once, and then its digest", function()
    for _ = 1, 2 do
      commands:eval("x", { 1, "k", "a" })
    end
    commands:eval("xy", { 0 })
    assert.are.same(
      { { "EVAL", "x", "1", "k", "a" }, { "EVALSHA", "01ab", "1", "k", "a" }, { "EVAL", "xy", "0" } },
      sent()
    )
  end)

  it("sends its text again when Redis refused it", function()
    local calls, callback = recorder()
    commands:eval("x", { 0 }, callback)
    sent()
    commands.requests:answer(error_reply "NOPERM no")
    commands:eval("x", { 0 }, callback)
    assert.are.same({ { "EVAL", "x", "0" } }, sent())
    assert.are.equal("NOPERM", calls[1][2].code)
  end)

  it("sends its text again when Redis has forgotten it", function()
    local calls, callback = recorder()
    commands:eval("x", { 0 }, callback)
    commands:eval("x", { 0 }, callback)
    sent()
    commands.requests:answer "one"
    commands.requests:answer(error_reply "NOSCRIPT No matching script.")
    assert.are.same({ { "EVAL", "x", "0" } }, sent())
    commands.requests:answer "two"
    assert.are.same({ { "one" }, { "two" } }, calls)
  end)
end)

describe("SUBSCRIBE", function()
  local function channels(count)
    local all = {}
    for i = 1, count do
      all[i] = "c" .. i
    end
    return all
  end

  it("is cut into batches, and done with the last confirmation", function()
    local calls, callback = recorder()
    assert.is_true(commands:in_batches("SUBSCRIBE", channels(1030), callback))
    local all = sent()
    assert.are.same({ 513, 513, 7 }, { #all[1], #all[2], #all[3] })
    for _ = 1, 1029 do
      commands.requests:confirm()
    end
    assert.are.same({}, calls)
    commands.requests:confirm()
    assert.are.same({ { true } }, calls)
    assert.is_true(commands.requests:is_empty())
  end)

  it("has an error reply when it is refused", function()
    local calls, callback = recorder()
    local others, on_other = recorder()
    commands:in_batches("SUBSCRIBE", channels(513), callback)
    commands:add(on_other, { "PING" })
    commands.requests:answer(error_reply "NOPERM no")
    commands.requests:confirm()
    commands.requests:answer "PONG"
    assert.are.equal(1, #calls)
    assert.are.equal("NOPERM", calls[1][2].code)
    assert.are.same({ { "PONG" } }, others)
  end)

  it("is not answered by another reply", function()
    commands:in_batches("SUBSCRIBE", { "c" })
    assert.is_false(commands.requests:answer "OK")
  end)

  it("of no channel is done at once", function()
    local calls, callback = recorder()
    assert.is_true(commands:in_batches("SUBSCRIBE", {}, callback))
    assert.are.same({ { true } }, calls)
    assert.are.same({}, sent())
  end)
end)
