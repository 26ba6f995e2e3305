-- Messages whose answer may be kept for equal ones (`set $ws_cache on;`). Such a message is a question: it gets the kept
-- answer, waits for that to an equal one in flight, or becomes an event.
-- A question that waits is like an event in flight to its connection, so a socket's answers keep the order of its messages.

local CacheMetrics = require "framegate.telemetry.cache_metrics"
local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local Deadlines = require "framegate.runtime.deadlines"
local Event = require "framegate.dispatch.event"
local Gc = require "framegate.runtime.gc"
local Log = require "framegate.runtime.log"
local Task = require "framegate.runtime.task"

---@class Question
---@field text string as AnswerCache gives it
---@field variant string the text with the values of the headers on which the last answer depended
---@field lines string header lines of the handshake of its event
---@field waiting { connection: Connection, payload: string, is_text: boolean }[] equal ones
---@field at number? when those that wait go by themselves, in seconds of the monotonic clock

local Questions = {}

local LOOK_SECONDS = 0.005 -- shortest time between two looks whether another worker has its answer
local LOOKS_A_SECOND = 10000 -- limit over all questions

local cache, dispatch, holders, own
local asked -- questions whose answer is awaited, by variant
local elsewhere -- those of them whose event another worker has sent, as keys

--- Gives this module the instances of its worker.
---@param worker Worker
function Questions.wire(worker)
  asked, elsewhere = {}, {}
  cache, dispatch, holders, own = worker.answers, worker.dispatch, worker.holders, worker.members:worker()
end

local function send_frames(connection, frames)
  Gc.note_frame()
  for _, frame in ipairs(frames) do
    connection:send(frame.payload, frame.is_text)
  end
end

local function new(connection, text, variant)
  return { text = text, variant = variant, lines = connection.handshake, waiting = {} }
end

local function send_event(connection, message, question)
  CacheMetrics.count "miss"
  local event = Event.message(connection, message.payload, message.is_text)
  event.question, connection.is_in_flight = question, true
  Gc.note_frame()
  dispatch:submit(event)
end

-- Gives an asker the answer that is kept now, or sends its event.
local function release(asker, text)
  local connection = asker.connection
  local frames, variant = cache:find(text, connection.handshake)
  if not frames then
    return send_event(connection, asker, new(connection, text, variant))
  end
  send_frames(connection, frames)
  connection.is_in_flight = false
  connection:advance()
end

local release_safely = Log.caught("the answer to a question", release)

local deadlines

local function finish(question)
  if asked[question.variant] == question then
    asked[question.variant] = nil
  end
  deadlines:remove(question)
  local waiting = question.waiting
  question.waiting = {}
  for _, asker in ipairs(waiting) do
    release_safely(asker, question.text)
  end
  if elsewhere[question] then
    elsewhere[question] = nil
    dispatch:hold(-1)
    dispatch:check_idle()
  end
end

-- The one that was sent is too slow.
deadlines = Deadlines.new("the end of a wait for an answer", finish)

-- Whether the other worker has its answer, or was killed. Then its claim is released, so that somebody else can ask.
local function is_over(question)
  local owner = cache:owner(question.variant)
  local is_killed = owner and not holders:is_living(owner)
  if is_killed then
    cache:release(question.variant, owner)
  end
  return not owner or is_killed
end

local function look()
  local count, over = 0, {}
  for question in pairs(elsewhere) do
    count = count + 1
    over[#over + 1] = is_over(question) and question or nil
  end
  for _, question in ipairs(over) do
    finish(question)
  end
  return count
end

local watching = Task.new("the wait for answers to other workers", function()
  local count = 0
  while next(elsewhere) do
    ngx.sleep(math.max(LOOK_SECONDS, count / LOOKS_A_SECOND))
    count = look()
  end
end)

local function wait(question, asker)
  CacheMetrics.count "wait"
  asker.connection.is_in_flight = true
  question.waiting[#question.waiting + 1] = asker
  if not question.waiting[2] then
    question.at = Clock.monotonic() + Config.HANDLER_TIMEOUT
    deadlines:add(question)
  end
end

local function wait_elsewhere(question)
  elsewhere[question] = true
  dispatch:hold(1)
  watching:begin()
end

--- Answers a message, lets it wait, or sends its event.
---@param connection Connection that has no event in flight
---@param payload string
---@param is_text boolean
---@return boolean is_done false if it is too large for that, and is an event like any other
function Questions.ask(connection, payload, is_text)
  local text = cache:question(connection, payload, is_text)
  if not text then
    return false
  end
  local frames, variant = cache:find(text, connection.handshake)
  if frames then
    CacheMetrics.count "hit"
    send_frames(connection, frames)
    return true
  end
  local asker, question = { connection = connection, payload = payload, is_text = is_text }, asked[variant]
  if question then
    wait(question, asker)
    return true
  end
  question = new(connection, text, variant)
  asked[variant] = question
  if cache:claim(variant, own, Config.HANDLER_TIMEOUT) then
    send_event(connection, asker, question)
  else
    wait_elsewhere(question)
    wait(question, asker)
  end
  return true
end

-- Lets equal questions go: they find what is kept now, or become events.
local function give_back(question)
  if asked[question.variant] == question then
    cache:release(question.variant, own)
  end
  finish(question)
end

--- Accepts that the answer to an event streams. It is not kept, so equal questions do not wait for its end.
---@param event Event
function Questions.let_go(event)
  if event.question then
    give_back(event.question)
    event.question = nil
  end
end

--- Accepts the answer to an event. If it may be kept, it is also that to all equal questions that wait; else they go now.
---@param event Event
---@param answer Answer
function Questions.settle(event, answer)
  local question = event.question
  if not question then
    return
  end
  -- A client that came back with other headers may have them in this event, or not.
  if event.connection.handshake == question.lines then
    cache:keep(question.text, question.lines, answer)
  end
  give_back(question)
end

return Questions
