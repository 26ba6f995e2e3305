-- What comes for a socket in a kept topic while its kept frames are read from Redis: it follows them.

---@class Hold
---@field after string? position behind which it asked for frames
---@field last integer? offset of the last frame that the connection was sent before
local Hold = {}
Hold.__index = Hold

---@param max_bytes integer of payloads: later frames are not noted
---@param after string? position behind which the socket asked for frames
---@return Hold
function Hold.new(max_bytes, after)
  return setmetatable({ max_bytes = max_bytes, after = after, bytes = 0, entries = {} }, Hold)
end

--- Notes a frame.
---@param place StreamPlace
---@param args { is_text: boolean, except: string?, replace: string? }
---@param payload string
function Hold:note(place, args, payload)
  self.bytes = self.bytes + #payload
  if self.bytes <= self.max_bytes then
    self.entries[#self.entries + 1] = {
      place = place,
      args = { is_text = args.is_text, except = args.except, replace = args.replace },
      payload = payload,
    }
  end
end

--- Gives the frames that were noted, in their order, but not those of an epoch up to an offset.
---@param place StreamPlace? what the socket has had; nil for nothing
---@param give fun(args: table, payload: string)
function Hold:each_behind(place, give)
  for _, entry in ipairs(self.entries) do
    local is_had = place and entry.place.epoch == place.epoch and entry.place.offset <= place.offset
    if not is_had then
      give(entry.args, entry.payload)
    end
  end
end

return Hold
