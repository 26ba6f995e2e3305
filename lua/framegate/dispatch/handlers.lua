-- All handlers of this worker. Each event goes to the one that the socket's location names, or to that of HANDLER_URL.

local Answer = require "framegate.dispatch.answer"
local Dialects = require "framegate.dispatch.dialects"
local Handler = require "framegate.dispatch.handler"
local UpstreamUrl = require "framegate.protocol.upstream_url"

---@class Handlers
---@field default Handler that of HANDLER_URL
local Handlers = {}
Handlers.__index = Handlers

--- The name of the handler of HANDLER_URL.
Handlers.DEFAULT = "default"

local function text_of(targets)
  local texts = {}
  for i, target in ipairs(targets) do
    texts[i] = UpstreamUrl.text(target)
  end
  return table.concat(texts, ", ")
end

local function add(self, name, targets)
  local handler = Handler.new({ name = name, urls = text_of(targets), targets = targets }, self.options)
  self.list[#self.list + 1] = handler
  self.by_name[name] = handler
  return handler
end

--- Makes the handler of HANDLER_URL and those of the locations.
---@param options HandlerOptions|{ on_idle: fun(), default: string, others: string[] } `on_idle` is called whenever no event
---  of any handler is in flight and none waits; `default` and `others` are lists of URLs, as UpstreamUrl.list reads them
---@return Handlers
function Handlers.new(options)
  local self = setmetatable({ list = {}, by_name = {}, names = {}, held = 0, on_idle = options.on_idle }, Handlers)
  self.options = setmetatable({ on_idle = function() self:check_idle() end }, { __index = options })
  self.default = add(self, Handlers.DEFAULT, assert(UpstreamUrl.list(options.default)))
  for _, text in ipairs(options.others) do
    self:find(text)
  end
  return self
end

--- Finds a handler by its URLs, and makes it if it is new.
---@param text string as UpstreamUrl.list reads it
---@return string? name the same for equal handlers
---@return string? expected in words, if the text cannot be used
function Handlers:find(text)
  local name = self.names[text]
  if name then
    return name
  end
  local targets, expected = UpstreamUrl.list(text)
  if not targets then
    return nil, expected
  end
  name = text_of(targets)
  self.names[text] = name
  if not self.by_name[name] then
    add(self, name, targets)
  end
  return name
end

-- A record, or another worker, may name a handler that is new here. A name that cannot be used counts as none.
local function handler_of(self, connection)
  local name = connection.options.handler
  return name and self.by_name[self:find(name) or Handlers.DEFAULT] or self.default
end

--- Sends an event to the handler of its socket. Does not yield. A lane calls `event.connection:answered(event, answer)`
--- once. For an event that the handler's dialect cannot express, this function does so before it returns.
---@param event Event
function Handlers:submit(event)
  if not Dialects.of(event.connection).has_word(event) then
    return event.connection:answered(event, Answer.NOTHING)
  end
  local tracer = self.options.tracer
  if tracer then
    tracer:begin(event)
  end
  handler_of(self, event.connection).dispatch:submit(event)
end

--- Counts an open event as ended. The caller registers the connection, or refuses it, before anything else runs.
---@param connection Connection
function Handlers:opened(connection) handler_of(self, connection).dispatch:opened() end

--- Counts messages that wait without an event and may become events. Until they are released, this worker is not idle.
---@param by integer how many more; below 0 for those that are released
function Handlers:hold(by) self.held = self.held + by end

--- Calls `on_idle` if no event is in flight and none waits.
function Handlers:check_idle()
  if self.held > 0 then
    return
  end
  for _, handler in ipairs(self.list) do
    if not handler.dispatch:is_idle() then
      return
    end
  end
  self.on_idle()
end

--- How many lanes there are.
---@return integer
function Handlers:count_lanes()
  local count = 0
  for _, handler in ipairs(self.list) do
    count = count + handler.lanes:state().open
  end
  return count
end

--- Ends the lanes that are free.
function Handlers:stop_lanes()
  for _, handler in ipairs(self.list) do
    handler.lanes:stop()
  end
end

--- Ends the lanes that are free, and from now on every lane that becomes free.
function Handlers:close_lanes()
  for _, handler in ipairs(self.list) do
    handler.lanes:close()
  end
end

--- Reads the current states.
---@return HandlerState[]
function Handlers:states()
  local states = {}
  for i, handler in ipairs(self.list) do
    states[i] = handler:state()
  end
  return states
end

return Handlers
