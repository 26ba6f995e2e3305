-- Checks status, headers and body of a handler's answer, whether it came as a response or as a line of a batch.
-- Code after this border can rely on every type and range. effects.lua reads what the answer asks for.

local PlainHeaders = require "framegate.dispatch.plain_headers"
local Printable = require "framegate.runtime.printable"

local find, lower, match, floor = string.find, string.lower, string.match, math.floor

local Border = {}

local MIN_STATUS, MAX_STATUS = 200, 599
local NAME_BYTES = 60 -- of a header, in a message

-- A token, and a value without control characters (RFC 9110 section 5).
local function is_name(name) return type(name) == "string" and find(name, "^[%w!#$%%&'*+%-.^_`|~]+$") ~= nil end

local function is_value(value) return type(value) == "string" and not find(value, "[%z\1-\8\10-\31\127]") end

--- Whether a value is a JSON list: its keys are the whole numbers from 1, without a gap.
--- An empty object also counts, because cjson decodes it to the same table as an empty list.
---@param value any
---@return boolean
function Border.is_list(value)
  if type(value) ~= "table" then
    return false
  end
  local count = 0
  for _ in pairs(value) do
    count = count + 1
  end
  return count == #value
end

local function is_list_of_values(value)
  if not Border.is_list(value) then
    return false
  end
  for _, item in ipairs(value) do
    if not is_value(item) then
      return false
    end
  end
  return true
end

-- Turns numbers into strings and names into lower case: a line of a batch may have both.
local function fix_headers(headers)
  local renamed
  for name, value in pairs(headers) do
    if not is_name(name) then
      return "the name of a header is not a token"
    end
    if type(value) == "number" then
      headers[name] = tostring(value)
    elseif not is_value(value) and not is_list_of_values(value) then
      return "the header " .. Printable.cut(lower(name), NAME_BYTES) .. " is not a text"
    end
    if find(name, "%u") then
      renamed = renamed or {}
      renamed[#renamed + 1] = name
    end
  end
  for _, name in ipairs(renamed or {}) do
    headers[lower(name)], headers[name] = headers[name], nil
  end
end

local function coding_defect(headers)
  local coding = headers["content-encoding"]
  if type(coding) == "table" then
    coding = table.concat(coding, ", ")
  end
  if coding and coding ~= "" and lower(coding) ~= "identity" then
    local name = match(coding, "^[%w%-, ]+$") or "that is unknown"
    return "its body has the content-encoding " .. name .. ", and the request said accept-encoding: identity"
  end
end

--- Checks an answer. Its header names are in lower case afterwards, and the values are strings or lists of strings.
---@param answer { status: any, headers: any, body: any }
---@return string? defect what is wrong with it, in words
function Border.defect_of(answer)
  local status = answer.status
  if type(status) ~= "number" or status ~= floor(status) or status < MIN_STATUS or status > MAX_STATUS then
    return "its status is not a number from 200 to 599"
  end
  if type(answer.headers) ~= "table" then
    return "its headers are not an object"
  end
  if type(answer.body) ~= "string" then
    return "its body is not a text"
  end
  if PlainHeaders.kind(answer.headers) then
    return nil
  end
  local defect = fix_headers(answer.headers) or coding_defect(answer.headers)
  if not defect then
    PlainHeaders.learn(answer.headers)
  end
  return defect
end

return Border
