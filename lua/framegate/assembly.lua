-- Makes the parts of one worker and gives them to each other. With start.lua, this is the only file that knows all rooms.

local Clock = require "framegate.runtime.clock"
local Config = require "framegate.config"
local UpstreamUrl = require "framegate.protocol.upstream_url"

local Assembly = {}

local KEEP_SECONDS = 10 -- for which a push of an answer is kept while another node is away

-- Modules that get the worker's instances by `wire`: nginx calls their functions, or they have very many instances.
Assembly.WIRED = {
  "cluster.mesh_listener",
  "dispatch.upstream",
  "push.outbox",
  "socket.address_count",
  "socket.agreement",
  "socket.apply",
  "socket.close_event",
  "socket.connection",
  "socket.detached",
  "socket.echoes",
  "socket.ending",
  "socket.entry",
  "socket.giving",
  "socket.hand_over",
  "socket.later",
  "socket.parking",
  "socket.questions",
  "socket.relay",
  "socket.relayed_stream",
  "socket.take_over",
  "socket.arrival",
  "socket.drain",
  "socket.open_event",
  "socket.orphans",
  "socket.record",
  "socket.resumption",
  "public.accept",
  "public.admission",
  "public.returning",
  "control.server",
  "worker.neighbourhood",
  "worker.new_life",
  "worker.shutdown",
  "worker.stats",
  "worker.timers",
}

--- The instances of one worker. Modules get them by `wire`, and keep those that they use.
---@class Worker
---@field members Members
---@field registry Registry
---@field mesh Mesh
---@field bus Bus
---@field holders Holders
---@field nodes Nodes
---@field groups Groups
---@field link_holder LinkHolder
---@field shared_records SharedRecords
---@field seen Seen
---@field history History|SharedHistory
---@field feeds Feeds|SharedFeeds
---@field push Push
---@field origins Origins
---@field carriers Carriers
---@field flusher Flusher
---@field dispatch Handlers
---@field answers AnswerCache
---@field site Peers
---@field tracer Tracer? if there are traces
---@field spans SpanExporter? if there are traces
local worker
local modules -- by name

local function on_group(group)
  worker.groups:change(group)
  worker.feeds:on_group(group)
end

local function add_workers()
  worker.registry = modules["push.registry"].new { max_topics = Config.MAX_TOPICS, on_group = on_group }
  worker.mesh = modules["cluster.mesh"].new { members = worker.members, port = Config.mesh_port }
  worker.bus = modules["cluster.bus"].new {
    name = worker.members:worker(),
    driver = worker.mesh,
    operations = modules["worker.operations"].new(worker),
  }
end

local function add_nodes()
  local members, bus, registry = worker.members, worker.bus, worker.registry
  local holders = modules["cluster.holders"].new { dict = ngx.shared.gateway, members = members }
  holders:set_clustered(Config.REDIS_URL ~= "")
  worker.holders = holders
  worker.nodes = modules["cluster.nodes"].new {
    own = members:node() .. members:worker(),
    wait = Config.CLUSTER_WAIT,
    holders = holders,
    bus = bus,
    now = Clock.monotonic,
    max_bytes = Config.CLUSTER_BUFFER,
    on_lost = modules["worker.neighbourhood"].on_lost,
  }
  worker.groups = modules["cluster.groups"].new {
    own = members:worker(),
    holders = holders,
    bus = bus,
    now = Clock.monotonic,
    has = function(group) return registry:has_group(group) end,
    all = function() return registry:groups() end,
  }
  worker.seen = modules["cluster.seen"].new {
    dict = ngx.shared.seen,
    own = members:worker(),
    is_living = function(name) return holders:is_living(name) end,
  }
  worker.link_holder = modules["cluster.link_holder"].new {
    members = members,
    holders = holders,
    bus = bus,
    now = Clock.monotonic,
    is_enabled = Config.REDIS_URL ~= "",
    new_link = modules["worker.neighbourhood"].new_link,
  }
  worker.shared_records = modules["cluster.shared_records"].new { holders = worker.holders, bus = worker.bus }
end

local function add_traces()
  if Config.OTEL_EXPORTER_OTLP_ENDPOINT == "" then
    return
  end
  local spans = modules["dispatch.span_exporter"].new {
    endpoint = Config.OTEL_EXPORTER_OTLP_ENDPOINT,
    headers = Config.OTEL_EXPORTER_OTLP_HEADERS,
    resource = {
      { "service.name", Config.OTEL_SERVICE_NAME },
      { "service.instance.id", worker.members:node() },
      { "host.name", Config.NODE_NAME },
    },
    look_up = modules["dispatch.resolver"].look_up,
  }
  worker.spans = spans
  worker.tracer = modules["telemetry.tracer"].new {
    ratio = Config.OTEL_TRACES_SAMPLER_ARG,
    export = function(span) spans:add(span) end,
  }
end

local function add_push()
  modules["worker.histories"].add(worker)
  worker.origins = modules["push.origins"].new(worker.members:node() .. worker.members:worker())
  worker.carriers = modules["socket.carriers"].new {
    members = worker.members,
    holders = worker.holders,
    bus = worker.bus,
    nodes = worker.nodes,
  }
  local parts = {
    origins = worker.origins,
    holders = worker.holders,
    members = worker.members,
    bus = worker.bus,
    nodes = worker.nodes,
    seen = worker.seen,
    history = worker.history,
    wait = Config.CLUSTER_WAIT,
    keep = KEEP_SECONDS,
  }
  worker.push = worker.tracer and modules["push.traced_push"].new(parts, worker.tracer)
    or modules["push.push"].new(parts)
end

local function add_dispatch()
  local look_up, on_failed = modules["dispatch.resolver"].look_up, modules["dispatch.upstream"].refresh
  worker.dispatch = modules["dispatch.handlers"].new {
    default = table.concat(Config.HANDLER_URL, ", "),
    others = Config.location_handlers,
    capacity = Config.capacity.lanes,
    streams = Config.capacity.streams,
    config = Config,
    now = Clock.monotonic,
    look_up = look_up,
    on_failed = on_failed,
    on_idle = modules["worker.shutdown"].on_idle,
    is_leaving = function() return worker.members:is_leaving() end,
    signer = modules["dispatch.signer"].new(Config.HANDLER_SECRET),
    tracer = worker.tracer,
  }
  worker.answers = modules["dispatch.answer_cache"].new {
    dict = ngx.shared.cache,
    bytes = Config.CACHE_BYTES,
    headers = Config.HANDSHAKE_HEADERS,
  }
  worker.site = modules["dispatch.peers"].new {
    name = "site",
    targets = { UpstreamUrl.http(Config.SITE_URL) },
    look_up = look_up,
    now = Clock.monotonic,
    on_failed = on_failed,
  }
end

--- Makes all parts of a worker.
---@param of Worker gets them
---@param loaded table<string, table> modules by name, without "framegate."
function Assembly.assemble(of, loaded)
  worker, modules = of, loaded
  worker.flusher = modules["push.flusher"].new()
  add_workers()
  add_nodes()
  add_traces()
  add_push()
  add_dispatch()
  for _, name in ipairs(Assembly.WIRED) do
    modules[name].wire(worker)
  end
end

return Assembly
