-- Calculates how many sockets a worker can hold.
-- nginx counts every connection against worker_connections, and the kernel against the limit of open files.
-- Events, listeners and the site need a reserve, or no socket would get an answer.

local Capacity = {}

-- A lane has a timer and a connection to a handler. With several addresses, more connections wait in nginx's pool.
local CONNECTIONS_OF_A_LANE = 3
-- So has an answer that streams; the connection comes from a lane.
local CONNECTIONS_OF_A_STREAM = 2
-- Listeners, links between workers, requests of the site.
local OTHERS = 64
-- Files that are not connections: log and epoll; and for each worker a channel and a listener of the mesh.
local FILES, FILES_OF_A_WORKER = 32, 3

Capacity.LEAST_FILES = 512

-- Divides what is left beside the sockets. Streams get a third if it is not enough.
local function divide(room, of_one, wanted)
  local for_streams = math.max(room - of_one.lane * wanted.lanes, room / 3)
  local streams = math.max(1, math.min(wanted.streams, math.floor(for_streams / of_one.stream)))
  local left = math.floor((room - of_one.stream * streams) / of_one.lane)
  return math.max(1, math.min(wanted.lanes, left)), streams
end

--- Calculates the capacity of one worker.
---@param settings table as Variables.read returns it; `location_handlers` is the list of handlers in locations.d, if any
---@param machine { open_files: integer, processors: integer } the hard limit of open files; the workers of `auto`
---@return { workers: integer, connections: integer, sockets: integer, lanes: integer, streams: integer, files: integer?, remedy: string }
---  capacity; `lanes` and `streams` are those of each handler; `files` is the limit of open files, if that limits the worker; `remedy`
---  names what to raise when it is full
function Capacity.of(settings, machine)
  local workers = settings.WORKERS == "auto" and machine.processors or settings.WORKERS
  local files = machine.open_files - FILES - FILES_OF_A_WORKER * workers
  local connections = math.min(settings.WORKER_CONNECTIONS, files)
  local others = math.min(OTHERS, math.floor(connections / 8))
  local handlers = 1 + #(settings.location_handlers or {})
  local wanted = { lanes = settings.HANDLER_CONCURRENCY, streams = settings.STREAM_CONCURRENCY }
  local of_one = { lane = CONNECTIONS_OF_A_LANE * handlers, stream = CONNECTIONS_OF_A_STREAM * handlers }
  local reserve = of_one.lane * wanted.lanes + of_one.stream * wanted.streams + OTHERS
  local sockets = math.floor(math.max(connections / 2, connections - reserve))
  local lanes, streams = divide(connections - sockets - others, of_one, wanted)
  local is_bound_by_files = files < settings.WORKER_CONNECTIONS
  return {
    workers = workers,
    connections = connections,
    sockets = sockets,
    lanes = lanes,
    streams = streams,
    files = is_bound_by_files and machine.open_files or nil,
    remedy = is_bound_by_files and "the limit of open files (ulimit -n)" or "WORKER_CONNECTIONS or WORKERS",
  }
end

--- Describes a capacity in one line for the operator.
function Capacity.describe(capacity)
  local line = ("can hold %d sockets: %d in each worker"):format(capacity.workers * capacity.sockets, capacity.sockets)
  if capacity.files then
    return line
      .. (", which may open %d files; to hold more raise that: ulimit -n, LimitNOFILE= of a systemd unit, ulimits of a container"):format(
        capacity.files
      )
  end
  return line .. "; to hold more raise WORKER_CONNECTIONS or WORKERS"
end

return Capacity
