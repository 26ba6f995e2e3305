-- What a location and the answer to open agree for a socket: its options, and whether it may outlive its transport.

local Config = require "framegate.config"
local Dialects = require "framegate.dispatch.dialects"
local Options = require "framegate.socket.options"
local Session = require "framegate.session.session"

local Agreement = {}

local DAY = 86400
local MODES = { [""] = "", check = "check", notify = "notify" }

local dispatch

--- Gives this module the instances of its worker.
---@param worker Worker
function Agreement.wire(worker) dispatch = worker.dispatch end

---@class LocationOptions
---@field rate number? messages a second that an address may send
---@field closes_on_overflow boolean
---@field text_mode string? content type of text messages, nil or "" for none
---@field is_cached boolean whether equal messages may get an answer that was kept
---@field before_open Options of a socket whose handler has not answered yet: who that is

--- Reads what the nginx location of this request sets: `set $ws_overflow close;`, `set $ws_rate 1;`, `set $ws_text form;`,
--- `set $ws_cache on;`, `set $ws_protocol grip;` and `set $ws_handler "http://a:3000";`. A variable that no
--- location sets is nil.
---@return LocationOptions?
---@return string? expected of $ws_handler, in words
function Agreement.at_location()
  local own_rate, urls = ngx.var.ws_rate, ngx.var.ws_handler
  local handler, expected
  if urls and urls ~= "" then
    handler, expected = dispatch:find(urls)
  end
  if expected then
    return nil, expected
  end
  local rate = own_rate == "off" and 0 or tonumber(own_rate) or Config.MESSAGE_RATE
  return {
    rate = rate > 0 and rate or nil,
    closes_on_overflow = ngx.var.ws_overflow == "close",
    text_mode = ngx.var.ws_text,
    is_cached = ngx.var.ws_cache == "on",
    before_open = Options.of {
      handler = handler,
      protocol = Dialects.name(ngx.var.ws_protocol, Config.HANDLER_PROTOCOL),
    },
  }
end

local function options_of(location, answer)
  return Options.of {
    rate = location.rate,
    closes_on_overflow = location.closes_on_overflow,
    takes_batches = answer.headers["ws-batch"] == "1",
    text_mode = answer.headers["ws-text"] or location.text_mode,
    protocol = location.before_open.protocol,
    handler = location.before_open.handler,
    is_cached = location.is_cached,
  }
end

--- Reads the session that an answer allows: `ws-session: <seconds>`, `<seconds>;check` or `<seconds>;notify`. Without the
--- header, SESSION_SECONDS counts.
---@param answer Answer to open
---@return SessionFacts? facts nil when the socket ends with its transport
---@return string? err what is wrong with the header
function Agreement.session(answer)
  local value = answer.headers["ws-session"] or ("%.15g"):format(Config.SESSION_SECONDS)
  local seconds, word = (type(value) == "string" and value or ""):match("^([%d.]+)%s*;?%s*(%a*)$")
  local keep, mode = tonumber(seconds), MODES[word]
  if not keep or keep > DAY or not mode then
    return nil, "ws-session is a time of up to 86400 seconds, and perhaps ;check or ;notify behind it"
  elseif keep > 0 then
    return { keep = keep, mode = mode ~= "" and mode or nil, protocol = answer.headers["sec-websocket-protocol"] }
  end
end

--- What is wrong with the header lines that choose options.
---@param answer Answer to open
---@return string? defect
function Agreement.defect_of(answer)
  local _, err = Agreement.session(answer)
  return err
end

--- Registers a socket that its handler has accepted.
---@param connection Connection
---@param answer Answer to open
---@param handshake { location: LocationOptions, wanted: SessionRequest?, is_stream: boolean }
function Agreement.register(connection, answer, handshake)
  connection:register(options_of(handshake.location, answer))
  local wanted = handshake.wanted
  local facts = wanted and Agreement.session(answer)
  if facts then
    facts.is_stream = handshake.is_stream or nil
  end
  local session = facts and Session.new(connection.id, wanted.has_own_key and wanted.key or nil, facts)
  if session then
    connection:begin_session(session)
  end
end

return Agreement
