-- Makes untrusted text safe to log: it stays on one line, and cannot control a terminal.
-- It escapes the control characters of ASCII and C1 (ECMA-48), and bytes that are not UTF-8.

local Printable = {}

local NAMES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(byte) return NAMES[byte] or ("\\x%02X"):format(byte:byte()) end

-- The bytes that may follow the first byte of a character (RFC 3629 section 4), without C1, which is U+0080 to U+009F.
local function following(first)
  if first == 0xC2 then
    return "^[\160-\191]"
  elseif first >= 0xC3 and first <= 0xDF then
    return "^[\128-\191]"
  elseif first == 0xE0 then
    return "^[\160-\191][\128-\191]"
  elseif first == 0xED then
    return "^[\128-\159][\128-\191]"
  elseif first >= 0xE1 and first <= 0xEF then
    return "^[\128-\191][\128-\191]"
  elseif first == 0xF0 then
    return "^[\144-\191][\128-\191][\128-\191]"
  elseif first >= 0xF1 and first <= 0xF3 then
    return "^[\128-\191][\128-\191][\128-\191]"
  elseif first == 0xF4 then
    return "^[\128-\143][\128-\191][\128-\191]"
  end
end

-- Cleans a run of bytes above ASCII: characters stay, other bytes are escaped.
local function clean(run)
  local parts, at = {}, 1
  while at <= #run do
    local pattern = following(run:byte(at))
    local last = pattern and select(2, run:find(pattern, at + 1))
    parts[#parts + 1] = last and run:sub(at, last) or escape(run:sub(at, at))
    at = (last or at) + 1
  end
  return table.concat(parts)
end

--- Escapes a text.
---@param text string
---@return string
function Printable.text(text)
  if not text:find("[%c\127-\255]") then
    return text
  end
  return (text:gsub("%c", escape):gsub("[\128-\255]+", clean))
end

--- Cuts a text of a stranger to a length that fits a line.
---@param text string
---@param most integer bytes
---@return string
function Printable.cut(text, most) return #text <= most and text or text:sub(1, most) .. "…" end

return Printable
