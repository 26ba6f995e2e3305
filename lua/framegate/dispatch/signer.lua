-- Signs what goes to a handler, as Standard Webhooks does (github.com/standard-webhooks/standard-webhooks, version 1.0.0).
-- `webhook-signature` covers the body. `framegate-signature` covers method, path, `ce-*` and content type in the same way.
-- docs/signed-events.md describes both.

local Clock = require "framegate.runtime.clock"
local Event = require "framegate.dispatch.event"
local Hmac = require "framegate.runtime.hmac"
local Random = require "framegate.runtime.random"

local concat, find, gsub, match = table.concat, string.find, string.gsub, string.match

---@class Signer
---@field private hmacs Hmac[] one for each secret
---@field private batch_prefix string of the ids of batches, which no other worker has
---@field private batches integer how many batches were signed
local Signer = {}
Signer.__index = Signer

local PREFIX = "whsec_"
local RANDOM_CHARACTERS = 22 -- 132 bits
-- Appended to the id in the second signature, so that neither of the two signatures can be used as the other one.
local CONTEXT = "/context"
local BATCH_CONTEXT = "POST /\ncontent-type: application/vnd.framegate.batch+json"
local NOTHING = {}

--- Makes the signer of a worker.
---@param secrets string[] as `configure/handler_secrets.lua` reads them
---@return Signer? signer nil if there are no secrets
function Signer.new(secrets)
  if not secrets[1] then
    return nil
  end
  local self = setmetatable({ hmacs = {}, batches = 0 }, Signer)
  self.batch_prefix = "batch_" .. Random.name(RANDOM_CHARACTERS) .. "_"
  for i, secret in ipairs(secrets) do
    self.hmacs[i] = Hmac.new(assert(ngx.decode_base64(secret:sub(#PREFIX + 1))))
  end
  return self
end

-- Signs `id.timestamp.message` with each secret. `message` is a list of pieces, whose first one is `.timestamp.`
local function signature(self, id, message)
  local signatures = {}
  for i, hmac in ipairs(self.hmacs) do
    hmac:start()
    hmac:add(id)
    for _, piece in ipairs(message) do
      hmac:add(piece)
    end
    signatures[i] = "v1," .. ngx.encode_base64(hmac:finish())
  end
  return concat(signatures, " ")
end

-- Signs a body, and the context in which it is sent. `context` lacks its first piece. Returns header lines.
local function lines(self, id, body, context)
  local timestamp = Clock.unix_time()
  context[1] = "." .. timestamp .. "."
  return concat {
    "webhook-id: ",
    id,
    "\r\nwebhook-timestamp: ",
    timestamp,
    "\r\nwebhook-signature: ",
    signature(self, id, { context[1], body }),
    "\r\nframegate-signature: ",
    signature(self, id .. CONTEXT, context),
    "\r\n",
  }
end

local function add(context, name, value)
  if value then
    local size = #context
    context[size + 1], context[size + 2] = name, tostring(value)
  end
end

local function transport_of(handshake)
  return find(handshake, "\nce-transport: ", 1, true) and match(handshake, "\nce%-transport: ([^\r]*)")
end

-- What the second signature covers: method and path, then a line for each header, ordered by name.
local function context_of(event)
  local connection, ended = event.connection, event.ended or NOTHING
  local context = { "", "POST ", connection.path }
  add(context, "\nce-closecode: ", ended.code)
  add(context, "\nce-closereason: ", ended.reason)
  add(context, "\nce-connectionid: ", connection.id)
  add(context, "\nce-duration: ", ended.duration)
  add(context, "\nce-eventnumber: ", event.number)
  add(context, "\nce-id: ", event.id)
  add(context, "\nce-source: ", Event.source(connection))
  add(context, "\nce-specversion: ", "1.0")
  add(context, "\nce-state: ", event.state)
  add(context, "\nce-time: ", event.time)
  add(context, "\nce-transport: ", transport_of(event.handshake or connection.handshake))
  add(context, "\nce-type: framegate.", event.kind)
  add(context, "\nce-user: ", event.user)
  add(context, "\ncontent-type: ", event.content_type)
  return context
end

--- Signs an event that travels alone. Each attempt has a time of its own.
---@param event Event
---@return string lines of the header
function Signer:event(event)
  -- The id of a timer has dots, which separate the parts of what is signed.
  local id = event.kind == "timer" and gsub(event.id, "%.", "%%2E") or event.id
  return lines(self, id, event.body, context_of(event))
end

--- Signs an event whose body holds everything about it.
---@param event Event
---@param request { path: string, content_type: string, body: string }
---@return string lines of the header
function Signer:document(event, request)
  local context = { "", "POST ", request.path, "\ncontent-type: ", request.content_type }
  return lines(self, event.id, request.body, context)
end

--- Signs a batch. Its events have no signatures of their own: their paths and headers are in its body.
---@param body string
---@return string lines of the header
function Signer:batch(body)
  self.batches = self.batches + 1
  return lines(self, self.batch_prefix .. self.batches, body, { "", BATCH_CONTEXT })
end

return Signer
