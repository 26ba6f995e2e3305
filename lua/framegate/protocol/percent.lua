-- Percent-encodes header values, by the CloudEvents HTTP binding (section 3.1.3.2).
-- It encodes space, double quote, percent, and every byte outside printable ASCII.

local Percent = {}

local byte, char, format = string.byte, string.char, string.format

local function to_hex(character) return format("%%%02X", byte(character)) end

local function from_hex(digits) return char(tonumber(digits, 16)) end

--- Encodes a text.
---@param text string
---@return string
function Percent.encode(text) return (text:gsub("[^!#-$&-~]", to_hex)) end

--- Decodes a text. A percent sign without two hex digits after it stays as it is.
---@param text string
---@return string
function Percent.decode(text) return (text:gsub("%%(%x%x)", from_hex)) end

return Percent
