-- Percent-encoding of header values, as the CloudEvents HTTP binding has it (section 3.1.3.2): space, double
-- quote, percent and everything outside printable ASCII.

local Percent = {}

local byte, char, format = string.byte, string.char, string.format

local function to_hex(character) return format("%%%02X", byte(character)) end

local function from_hex(digits) return char(tonumber(digits, 16)) end

---@param text string
---@return string
function Percent.encode(text) return (text:gsub("[^!#-$&-~]", to_hex)) end

--- Decodes; a percent sign that no two hex digits follow stays as it is.
---@param text string
---@return string
function Percent.decode(text) return (text:gsub("%%(%x%x)", from_hex)) end

return Percent
