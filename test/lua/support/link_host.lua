-- Holds a link to Redis in a worker of a real nginx, and answers over HTTP what the link does:
--   GET /state                                    what `state` returns, and what the link has called since its start
--   POST /command, /eval, /subscribe, /unsubscribe, /stop   with a list of JSON
--   POST /flood [commands, bytes]                 many commands of one turn
--   POST /sleep [seconds]                         blocks the worker

local cjson = require "cjson.safe"
local semaphore = require "ngx.semaphore"

local LinkHost = {}

local link
local seen = { ups = 0, downs = {}, pushes = {}, push_count = 0 }
local on_up_subscribe

--- Runs in the master.
function LinkHost.master()
  require("framegate.config").load((ngx.config.prefix():gsub("/$", "")))
  require("framegate.runtime.log").init()
  require "framegate.cluster.redis_link"
end

local function on_push(channel, payload)
  seen.push_count = seen.push_count + 1
  if #seen.pushes < 100 then
    seen.pushes[#seen.pushes + 1] = { channel, payload:sub(1, 100) }
  end
end

local function on_up()
  seen.ups = seen.ups + 1
  if on_up_subscribe then
    link:subscribe(on_up_subscribe)
  end
end

--- Runs in the worker.
function LinkHost.worker()
  local Config = require "framegate.config"
  require("framegate.runtime.threads").start()
  link = require("framegate.cluster.redis_link").new {
    options = Config.REDIS_URL,
    prefix = Config.CLUSTER_NAME,
    look_up = require("framegate.dispatch.resolver").look_up,
    on_push = on_push,
    on_up = on_up,
    on_down = function(reason) seen.downs[#seen.downs + 1] = reason end,
  }
  link:start()
end

-- Waits for the callback of what `ask` queues.
local function awaited(ask)
  local done, answer = semaphore.new(), {}
  local is_queued = ask(function(reply, err)
    answer = { reply = reply, err = err, calls = (answer.calls or 0) + 1 }
    done:post()
  end)
  if is_queued then
    done:wait(30)
  end
  answer.is_queued = is_queued
  return answer
end

local function flood(count, bytes)
  local done, payload, replies, lost = semaphore.new(), ("x"):rep(bytes), 0, 0
  local most = 0
  for i = 1, count do
    local is_queued = link:command(function(_, err)
      replies, lost = replies + (err and 0 or 1), lost + (err and 1 or 0)
      if replies + lost == count then
        done:post()
      end
    end, "PUBLISH", "flood", i .. ":" .. payload)
    if not is_queued then
      return { is_queued = false }
    end
    most = math.max(most, link:state().waiting_bytes)
  end
  done:wait(30)
  return { replies = replies, lost = lost, most = most }
end

local function state()
  local result = link:state()
  result.run_id, result.client_id = link.run_id, link.client_id
  result.ups, result.downs, result.pushes, result.push_count = seen.ups, seen.downs, seen.pushes, seen.push_count
  return result
end

local function block(seconds)
  os.execute("sleep " .. tonumber(seconds))
  return {}
end

local ASKS = {
  ["/state"] = state,
  ["/command"] = function(...)
    local command = { ... }
    return awaited(function(callback) return link:command(callback, unpack(command)) end)
  end,
  ["/eval"] = function(script, keys, args)
    return awaited(function(callback) return link:eval(script, keys, args, callback) end)
  end,
  ["/subscribe"] = function(...)
    local channels = { ... }
    return awaited(function(callback) return link:subscribe(channels, callback) end)
  end,
  ["/unsubscribe"] = function(...)
    local channels = { ... }
    return awaited(function(callback) return link:unsubscribe(channels, callback) end)
  end,
  ["/resubscribe"] = function(...)
    on_up_subscribe = { ... }
    return {}
  end,
  ["/flood"] = flood,
  ["/sleep"] = block,
  ["/stop"] = function(...)
    if ... then
      link:command(nil, ...)
    end
    link:stop()
    require("framegate.runtime.threads").stop()
    return {}
  end,
}

--- Answers a request.
function LinkHost.serve()
  ngx.req.read_body()
  local list = cjson.decode(ngx.req.get_body_data() or "[]")
  ngx.print(cjson.encode(ASKS[ngx.var.uri](unpack(list))))
end

return LinkHost
