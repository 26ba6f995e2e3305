-- Numbers the publications of this worker, and knows the last one of every worker that was delivered here.
-- With that, a socket that moves from one worker to another gets each publication once (socket/hand_over.lua).

---@class Origin
---@field [1] string names of the node and the worker that publish
---@field [2] integer number of the publication, which rises

---@class Origins
---@field private last integer number of the last publication of this worker
---@field private delivered table<string, integer> the last number, by names of node and worker
local Origins = {}
Origins.__index = Origins

local MOST = 1000 -- workers that are remembered: those of many reloads

---@param own string names of this node and this worker
---@return Origins
function Origins.new(own) return setmetatable({ own = own, last = 0, delivered = {}, count = 0 }, Origins) end

--- Numbers a publication of this worker.
---@return Origin
function Origins:next()
  self.last = self.last + 1
  return { self.own, self.last }
end

--- Notes that a publication was delivered to the sockets of this worker.
---@param from Origin? nil from a node of an earlier version
function Origins:note(from)
  if not from then
    return
  end
  local name, number = from[1], from[2]
  if not self.delivered[name] then
    if self.count >= MOST then
      self.delivered, self.count = {}, 0
    end
    self.count = self.count + 1
  end
  self.delivered[name] = math.max(number, self.delivered[name] or 0)
end

--- The last publication of every worker that was delivered here.
---@return table<string, integer> numbers by names of node and worker
function Origins:vector()
  local vector = {}
  for name, number in pairs(self.delivered) do
    vector[name] = number
  end
  return vector
end

--- Adds what was delivered somewhere else to a vector: of two numbers, the greater one counts. What was delivered long ago may
--- name many workers that are gone, so no more than 1000 names are kept.
---@param vector table<string, integer> is changed
---@param other table<string, integer>?
---@return table<string, integer> vector
function Origins.merge(vector, other)
  local count = 0
  for _ in pairs(vector) do
    count = count + 1
  end
  for name, number in pairs(other or {}) do
    if vector[name] then
      vector[name] = math.max(number, vector[name])
    elseif count < MOST then
      vector[name], count = number, count + 1
    end
  end
  return vector
end

--- Whether a publication is among those that were delivered somewhere.
---@param vector table<string, integer> what was delivered there
---@param from Origin?
---@return boolean
function Origins.includes(vector, from)
  local last = from and vector[from[1]]
  return last ~= nil and from[2] <= last
end

return Origins
