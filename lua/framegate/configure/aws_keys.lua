-- Reads CONTROL_AWS_KEY_ID and CONTROL_AWS_SECRET: the access keys with which AWS' SDKs may use @connections.

local Values = require "framegate.configure.values"

local AwsKeys = {}

local MOST = 128 -- characters of an id, as AWS has them

local function key_id(text)
  if not text:find "^[%w_-]+$" or #text > MOST then
    return nil, ("ids of access keys, separated by commas: letters, digits, _ and -, at most %d"):format(MOST)
  end
  return text
end

--- Reads the ids of keys.
---@type fun(text: string): string[]?, string?
AwsKeys.ids = Values.list(key_id)

--- Reads their secrets.
---@type fun(text: string): string[]?, string?
AwsKeys.secrets = Values.list(function(text)
  local secret, expected = Values.token(text)
  return secret, expected and expected .. " or commas"
end)

--- Checks that each key has a secret, and that there is a port for them.
---@param settings table
---@param problems string[] to add to
function AwsKeys.check(settings, problems)
  local ids, secrets = settings.CONTROL_AWS_KEY_ID, settings.CONTROL_AWS_SECRET
  if not ids or not secrets then
    return
  elseif #ids ~= #secrets then
    problems[#problems + 1] = "CONTROL_AWS_SECRET=…: expected as many secrets as CONTROL_AWS_KEY_ID has ids"
  elseif #ids > 0 and settings.CONTROL_PORT == "off" then
    problems[#problems + 1] = "CONTROL_AWS_KEY_ID=" .. table.concat(ids, ",") .. ": expected CONTROL_PORT beside it"
  end
end

return AwsKeys
