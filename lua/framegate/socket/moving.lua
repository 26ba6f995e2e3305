-- The state of a connection that moves from one worker to another, on both sides. No event goes out meanwhile, and requests
-- of the control API for it wait.

local Moving = {}

---@class MovingState
---@field private waiting (fun())[] called when the move is over
---@field buffer Message[]? what was pushed to the new side, which has not got the socket yet
---@field is_fetching boolean? whether the new side gets the socket from Redis now
---@field takes_stream boolean? whether a streamed answer goes along
---@field is_sent boolean? whether the new side may have the socket
---@field has_close boolean? whether the socket was closed meanwhile
---@field has_overflowed boolean? whether a message was dropped, because more waits for the client than may
---@field on_answered fun()? called when the connection may move

--- Begins a move.
---@param connection Connection
---@param is_arriving boolean whether this is the new side
function Moving.begin(connection, is_arriving) connection.moving = { waiting = {}, buffer = is_arriving and {} or nil } end

--- Notes that a message was dropped.
---@param connection Connection
---@return boolean is_first
function Moving.note_overflow(connection)
  local is_first = not connection.moving.has_overflowed
  connection.moving.has_overflowed = true
  return is_first
end

--- Calls a function when the move is over.
---@param connection Connection
---@param run fun() must not yield
function Moving.wait(connection, run)
  local waiting = connection.moving.waiting
  waiting[#waiting + 1] = run
end

--- Calls a function when the move is over, which closes the connection: it does not leave this worker any more.
---@param connection Connection
---@param close fun() must not yield
function Moving.wait_to_close(connection, close)
  connection.moving.has_close = true
  Moving.wait(connection, close)
end

--- Whether a connection may move now: no event is in flight, or its answer streams and goes along.
---@param connection Connection that moves
---@return boolean
function Moving.is_ready(connection)
  local stream = connection.moving.takes_stream and connection.stream
  return not connection.is_in_flight or stream ~= nil and stream ~= false and stream:may_move()
end

--- Notes that no event is in flight any more, or that its answer streams, if a move waits for that.
---@param connection Connection
function Moving.look(connection)
  local moving = connection.moving
  if moving and moving.on_answered and Moving.is_ready(connection) then
    local on_answered = moving.on_answered
    moving.on_answered = nil
    on_answered()
  end
end

--- Ends a move, whether the socket has moved or not.
---@param connection Connection
function Moving.finish(connection)
  local waiting = connection.moving.waiting
  connection.moving = nil
  for _, run in ipairs(waiting) do
    run()
  end
end

return Moving
