-- Options of a socket, set once by its nginx location and the answer to its open event.
-- Most sockets have the same options, so equal options share one table, which nobody changes.

---@class Options
---@field rate number? messages a second that its address may send
---@field closes_on_overflow boolean whether a push that finds no room closes it
---@field takes_batches boolean whether its events may travel in a batch
---@field text_mode "text"|"json"|"form"|nil content type of its text messages; nil for a guess by their first character
---@field protocol string? the dialect in which its handler speaks (dispatch/dialects.lua); nil for framegate's own
---@field handler string? the name of the handler that gets its events; nil for that of HANDLER_URL
---@field is_cached boolean whether equal messages may get an answer that was kept
local Options = {}

local TEXT_MODES = { text = "text", json = "json", form = "form" }

local known = {}

--- Returns the shared table for these options. An unknown `text_mode` counts as none.
---@param wanted { rate: number?, closes_on_overflow: boolean?, takes_batches: boolean?, text_mode: any,
---  handler: string?, is_cached: boolean?, protocol: string? }
---@return Options
function Options.of(wanted)
  local closes_on_overflow, takes_batches = wanted.closes_on_overflow == true, wanted.takes_batches == true
  local text_mode, is_cached = TEXT_MODES[wanted.text_mode], wanted.is_cached == true
  local key = ("%s %s %s %s %s %s %s"):format(
    tostring(wanted.rate),
    tostring(closes_on_overflow),
    tostring(takes_batches),
    tostring(text_mode),
    tostring(is_cached),
    wanted.protocol or "",
    wanted.handler or ""
  )
  local options = known[key]
  if not options then
    options = {
      rate = wanted.rate,
      closes_on_overflow = closes_on_overflow,
      takes_batches = takes_batches,
      text_mode = text_mode,
      protocol = wanted.protocol,
      handler = wanted.handler,
      is_cached = is_cached,
    }
    known[key] = options
  end
  return options
end

--- Returns the same options without batches.
---@param options Options
---@return Options
function Options.without_batches(options)
  return Options.of {
    rate = options.rate,
    closes_on_overflow = options.closes_on_overflow,
    text_mode = options.text_mode,
    protocol = options.protocol,
    handler = options.handler,
    is_cached = options.is_cached,
  }
end

--- Options of a socket that is not accepted yet.
Options.NONE = Options.of {}

return Options
