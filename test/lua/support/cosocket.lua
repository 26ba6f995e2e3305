-- Stands for ngx.socket.tcp: what a handler would send is taken from `script`, a list of what each connection does.

local Cosocket = {}
Cosocket.__index = Cosocket

--- Every new cosocket is one of these. Each connection that is made takes the next item of the script:
---   { connect = "an error" }   it cannot be made
---   { send = "an error" }      sending fails
---   { reads = { … }, err = … } what it has to read, and how it ends
---@param script table[]
---@return table sockets those that were made, and `sent`, the requests in their order
function Cosocket.play(script)
  local all = { sent = {}, connections = {} }
  rawset(ngx, "socket", {
    tcp = function()
      all[#all + 1] = setmetatable({ all = all, script = script }, Cosocket)
      return all[#all]
    end,
  })
  return all
end

function Cosocket:connect(host, port)
  local item = table.remove(self.script, 1) or { connect = "connection refused" }
  if item.connect then
    return nil, item.connect
  end
  self.item, self.reads = item, 0
  self.all.connections[#self.all.connections + 1] = type(port) == "number" and host .. ":" .. port or host
  return true
end

function Cosocket:getreusedtimes() return self.item.reused or 0 end

function Cosocket.settimeouts() end

function Cosocket.settimeout() end

function Cosocket:sslhandshake(_, name)
  self.all.name = name
  return not self.item.tls, self.item.tls
end

function Cosocket:send(request)
  if self.item.send then
    return nil, self.item.send
  end
  local sent = self.all.sent
  sent[#sent + 1] = table.concat(request)
  return true
end

function Cosocket:receiveany()
  self.reads = self.reads + 1
  local piece = (self.item.reads or {})[self.reads]
  return piece, not piece and (self.item.err or "closed") or nil
end

function Cosocket:setkeepalive()
  self.all.kept = (self.all.kept or 0) + 1
  return true
end

function Cosocket:close() self.all.closed = (self.all.closed or 0) + 1 end

return Cosocket
