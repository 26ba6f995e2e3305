-- Asks the handler whether a client gets its session back, where the handler wants to be asked (`ws-session: …;check`).
-- The event `resume` has the headers of the new handshake. When the handler accepts, they replace the former ones.

local Attachment = require "framegate.socket.attachment"
local Client = require "framegate.runtime.client"
local Clock = require "framegate.runtime.clock"
local CloseCode = require "framegate.protocol.close_code"
local Config = require "framegate.config"
local Inbox = require "framegate.socket.inbox"
local semaphore = require "ngx.semaphore"

---@class Check
---@field lines string header lines of the new handshake
---@field answer Answer?
---@field is_over boolean? whether nobody waits for the answer any more
---@field private connection Connection
---@field private answered ngx.semaphore
local Check = {}
Check.__index = Check

local REFUSED = 400 -- the lowest status that refuses
local LOOK_SECONDS = 0.1 -- between two looks at the client

--- Asks the handler. Its event waits for the one in flight. Yields.
---@param connection Connection with a session
---@param lines string header lines of the new handshake
---@return Answer? answer nil when the client or the socket has gone, or no answer came in time
function Check.ask(connection, lines)
  local self = setmetatable({ connection = connection, lines = lines, answered = semaphore.new() }, Check)
  local deadline = Clock.monotonic() + Config.HANDLER_WAIT + Config.HANDLER_TIMEOUT
  connection:enqueue(Inbox.add_own(connection.inbox, { kind = "resume", check = self }))
  while not self.answer and connection.phase == "open" and Clock.monotonic() < deadline and not Client.has_left() do
    self.answered:wait(LOOK_SECONDS)
  end
  self.is_over = true
  return self.answer
end

--- Whether an answer refuses the client.
---@param answer Answer
---@return boolean
function Check.is_refusal(answer) return not answer.failure and answer.status >= REFUSED end

--- Accepts the answer, before its effects are applied.
---@param answer Answer
function Check:on_answered(answer)
  local connection = self.connection
  self.answer = answer
  self.answered:post()
  if Check.is_refusal(answer) then
    Attachment.release(connection)
    connection:end_with(CloseCode.ABNORMAL, "the handler refused its client", "lost")
    connection:finish()
  elseif not answer.failure and not self.is_over then
    connection:renew_handshake(self.lines)
  end
end

return Check
