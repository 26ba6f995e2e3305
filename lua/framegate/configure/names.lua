-- Checks the spelling of variable names.
-- A handler's own variables are in the same file and environment, so only names similar to framegate's are mistakes.

local Variables = require "framegate.configure.variables"

local Names = {}

-- Variables of the command line and of the shipped handler.
local OTHERS = { "CONTROL_URL", "ENV_FILE", "HANDLER_LISTEN", "HANDLER_LOG_LEVEL", "RUN_DIR", "WATCH" }

-- Similar to one of framegate's, but set on many machines.
local COMMON = { USERNAME = true, REDIS_DB = true, REDIS_SSL = true }

local SHORT = 5 -- characters: a short name with more than one slip may well be another word

--- Every variable that docs/operating.md lists.
---@return string[]
function Names.all()
  local all = {}
  for i, variable in ipairs(Variables.list) do
    all[i] = variable[1]
  end
  for _, name in ipairs(OTHERS) do
    all[#all + 1] = name
  end
  return all
end

-- How many slips turn one word into the other: a character added, missing or replaced, or two swapped.
local function distance(a, b)
  local rows = {}
  for i = 0, #a do
    rows[i] = { [0] = i }
    for j = 1, #b do
      if i == 0 then
        rows[0][j] = j
      else
        local cost = a:byte(i) == b:byte(j) and 0 or 1
        local least = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost)
        if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
          least = math.min(least, rows[i - 2][j - 2] + 1)
        end
        rows[i][j] = least
      end
    end
  end
  return rows[#a][#b]
end

--- The variable that a misspelt name probably means.
---@param name string
---@return string? meant nil if the name is a variable, or similar to none
function Names.meant(name)
  local nearest, least = nil, #name <= SHORT and 2 or 3
  for _, known in ipairs(Names.all()) do
    if known == name or COMMON[name] then
      return nil
    end
    local slips = distance(name:upper(), known)
    if slips < least then
      nearest, least = known, slips
    end
  end
  return nearest
end

--- Checks names. Misspelt ones in the settings file are refused; those in the environment are only reported.
---@param in_file string[]
---@param in_environment string[] with or without those of the file
---@return string[] problems one line for each name of the file
---@return string[] notes one line for each other name
function Names.check(in_file, in_environment)
  local problems, notes, is_in_file = {}, {}, {}
  for _, name in ipairs(in_file) do
    local meant = Names.meant(name)
    is_in_file[name] = true
    if meant then
      problems[#problems + 1] = ("%s is no variable of the gateway: did you mean %s? "):format(name, meant)
        .. "A variable of the handler's own in this file needs a name that is less like it"
    end
  end
  for _, name in ipairs(in_environment) do
    local meant = not is_in_file[name] and Names.meant(name)
    if meant then
      notes[#notes + 1] = ("the environment has %s, which is no variable of the gateway: did you mean %s?"):format(
        name,
        meant
      )
    end
  end
  return problems, notes
end

return Names
