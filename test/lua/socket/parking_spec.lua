local Moves = require "support.moves"
local Loop = require "support.event_loop"
local Stub = require "support.ngx"
local Worker = require "support.worker"
local Attachment = require "framegate.socket.attachment"
local Config = require "framegate.config"
local Encoder = require "framegate.protocol.encoder"
local File = require "framegate.runtime.file"
local Parcel = require "framegate.session.parcel"
local Parking = require "framegate.socket.parking"
local Places = require "framegate.session.places"
local Record = require "framegate.socket.record"

describe("parking at a stop", function()
  local worker, run_folder

  before_each(function()
    worker = Moves.worker()
    Config.MAX_DETACHED = 1000
    run_folder = os.tmpname()
    os.remove(run_folder)
    os.execute("mkdir -p " .. run_folder .. "/journal")
    Config.run = run_folder
    rawset(ngx, "worker", { id = function() return 0 end })
  end)

  after_each(function()
    Moves.finish(worker)
    Config.run = nil
    os.execute("rm -rf " .. run_folder)
    rawset(ngx, "worker", nil)
  end)

  local function path() return run_folder .. "/journal/parked-nodeworker" end

  local function content()
    local file = io.open(path(), "rb")
    if not file then
      return nil
    end
    local bytes = file:read "*a"
    file:close()
    return bytes
  end

  local function set_content(bytes)
    local file = assert(io.open(path(), "wb"))
    file:write(bytes)
    file:close()
  end

  local function park()
    Loop.spawn(function()
      Parking.release()
      Parking.keep()
    end)
    Loop.run(10)
  end

  -- A gateway is started again: it knows nothing any more.
  local function start()
    ngx.shared.sessions.values, ngx.shared.sockets.values = {}, {}
    Parking.expect "node"
    Parking.start()
    Loop.run(0.1)
  end

  local function park_some(count)
    local ids = {}
    for i = 1, count do
      local connection = Worker.open_session(worker)
      connection:send("waits " .. i, true)
      ids[i] = connection.id
    end
    park()
    return ids
  end

  it("keeps sessions in a file that only this user can read, and owes no close event for them", function()
    local connection, transport = Worker.open_session(worker)
    park()
    assert.is_true(transport.is_abandoned)
    assert.are.same({ "ended", nil }, { connection.phase, worker.registry:get(connection.id) })
    assert.are.same({}, worker.dispatch.events)
    assert.is_nil(ngx.shared.sockets:get(connection.id))
    assert.is_nil(worker.counted.closed)
    local stat = io.popen("stat -c %a " .. path())
    assert.are.equal("600\n", stat:read "*a")
    stat:close()
  end)

  it("goes on with them after the next start, once", function()
    local ids = park_some(3)
    start()
    for i, id in ipairs(ids) do
      local connection = worker.registry:get(id)
      assert.are.same({ "open", true }, { connection.phase, connection:is_detached() })
      assert.are.equal(Encoder.frame("waits " .. i, true), Worker.written(connection))
    end
    assert.is_nil(content())
    assert.matches("3 sessions of the stopped gateway go on", worker.lines[1])
  end)

  it("counts the time of the stop as time that clients were away", function()
    local id = park_some(1)[1]
    Stub.now = Stub.now + 20
    start()
    local connection = worker.registry:get(id)
    assert.is_true(Stub.now - connection.session.detached_at >= 20)
    Loop.run(60)
    assert.are.equal("ended", connection.phase)
    assert.are.equal("close", worker.dispatch.events[1].kind)
  end)

  it("lets clients wait for their sessions from the start on", function()
    local connection = Worker.open_session(worker)
    local token = connection.session.token
    park()
    ngx.shared.sessions.values = {}
    Parking.expect "node"
    assert.are.same({ connection.id, true }, { Places.of_key(token) })
    assert.are.same({ connection.id, true }, { Places.of_key "nonce" })
    Parking.start()
    Loop.run(0.1)
    assert.are.same({ connection.id }, { Places.of_key(token) })
    assert.are.same({ connection.id }, { Places.of_key "nonce" })
  end)

  it("goes on with the whole ones of a file that is cut off at any byte", function()
    local ids = park_some(2)
    local bytes = content()
    local _, last, digits = bytes:find "^(%d+):"
    local first_end = last + tonumber(digits)
    for length = 0, #bytes - 1, 7 do
      set_content(bytes:sub(1, length))
      start()
      local has_first = worker.registry:get(ids[1]) ~= nil or worker.registry:get(ids[2]) ~= nil
      assert.are.equal(length >= first_end, has_first, "cut at " .. length)
      Moves.finish(worker)
      assert.is_nil(content())
    end
  end)

  it("leaves out one of another version, and goes on behind it", function()
    local ids = park_some(2)
    local bytes = content()
    local _, last = bytes:find "^(%d+):"
    set_content(bytes:sub(1, last) .. "0" .. bytes:sub(last + 2))
    start()
    local here = {}
    for _, id in ipairs(ids) do
      here[#here + 1] = worker.registry:get(id)
    end
    assert.are.equal(1, #here)
    assert.matches("1 sessions in the file parked%-nodeworker cannot be read", table.concat(worker.lines, "\n"))
  end)

  it("ends one that cannot be restored, and goes on with those before and behind it", function()
    local ids = park_some(2)
    local facts = {
      id = "nodeworkerbad",
      path = "/ws/echo",
      handshake = "host: a\r\nx-forwarded-for: 1.2.3.4\r\n",
      away_seconds = 1,
      session = { token = ("x"):rep(32) },
      more = { parked_at = ngx.now(), kept = {} },
    }
    local bytes, bad, worse = content(), Parcel.pack(facts, {}), Parcel.pack({ id = "nodeworkerworse" }, {})
    local _, last, digits = bytes:find "^(%d+):"
    local middle = last + tonumber(digits)
    set_content(bytes:sub(1, middle) .. #bad .. ":" .. bad .. #worse .. ":" .. worse .. bytes:sub(middle + 1))
    start()
    for _, id in ipairs(ids) do
      assert.are.equal("open", worker.registry:get(id).phase)
    end
    assert.is_nil(worker.registry:get(facts.id))
    local event = worker.dispatch.events[1]
    assert.are.same({ "close", facts.id, 1006 }, { event.kind, event.connection.id, event.connection.closing.code })
    assert.are.equal(1, #worker.dispatch.events)
    local lines = table.concat(worker.lines, "\n")
    assert.matches("nodeworkerbad: a session of the stopped gateway cannot be restored: ", lines)
    assert.matches("1 sessions in the file parked%-nodeworker cannot be read", lines)
    assert.matches("2 sessions of the stopped gateway go on", lines)
    assert.is_nil(content())
  end)

  describe("owes close events", function()
    local sync

    before_each(function() sync = File.sync end)

    after_each(function() File.sync = sync end)

    it("until the disk has the sessions", function()
      local connection = Worker.open_session(worker)
      Record.write(connection)
      local has_record
      function File.sync(file)
        has_record = ngx.shared.sockets:get(connection.id) ~= nil and #content() > 0
        return sync(file)
      end
      park()
      assert.are.same({ true, "ended" }, { has_record, connection.phase })
      assert.is_nil(ngx.shared.sockets:get(connection.id))
    end)

    it("if the disk fails: nothing of them is in the file, and they stay", function()
      local ids = park_some(1)
      local before = content()
      function File.sync() return nil, "Input/output error" end
      local connection = Worker.open_session(worker)
      Record.write(connection)
      park()
      assert.are.same({ before, "open" }, { content(), connection.phase })
      assert.is_string(ngx.shared.sockets:get(connection.id))
      assert.matches("1 sessions could not be kept .* Input/output error", worker.lines[1])
      File.sync = sync
      park()
      start()
      assert.is_table(worker.registry:get(ids[1]))
      assert.is_table(worker.registry:get(connection.id))
    end)
  end)

  it("touches no other file of the folder", function()
    local journal = run_folder .. "/journal/nodeworker"
    os.execute("touch " .. journal)
    park_some(1)
    start()
    assert.is_table(File.open(journal))
    assert.is_nil(content())
  end)

  it("reads the files in one worker", function()
    park_some(1)
    rawset(ngx, "worker", { id = function() return 1 end })
    start()
    assert.is_string(content())
    assert.is_nil(next(worker.registry:all()))
  end)

  it("leaves plain sockets and those with an event in flight", function()
    local plain = Worker.open(worker)
    local busy = Worker.open_session(worker)
    busy:receive("a", true)
    park()
    assert.is_nil(content())
    assert.are.same({ "open", "open", true }, { plain.phase, busy.phase, busy:is_detached() })
    Worker.answer(worker.dispatch.events[1])
    park()
    assert.is_string(content())
    assert.are.equal("ended", busy.phase)
  end)

  it("adds to the file when it comes again", function()
    local ids = park_some(1)
    ids[2] = park_some(1)[1]
    start()
    for _, id in ipairs(ids) do
      assert.is_table(worker.registry:get(id))
    end
  end)

  it("keeps sessions owed their close event when there is no file, and warns", function()
    os.execute("rmdir " .. run_folder .. "/journal")
    local connection = Worker.open_session(worker)
    park()
    assert.are.equal("open", connection.phase)
    assert.matches("1 sessions could not be kept .* No such file", worker.lines[1])
  end)

  it("may begin early when every socket is a session whose client is away, and no node could take it", function()
    local connection, transport = Worker.open_session(worker)
    assert.is_false(Parking.is_alone())
    Attachment.ended(connection, transport)
    assert.is_true(Parking.is_alone())
    worker.nodes.is_alone = function() return false end
    assert.is_false(Parking.is_alone())
    worker.nodes.is_alone = function() return true end
    connection:receive("a", true)
    assert.is_false(Parking.is_alone())
  end)
end)
