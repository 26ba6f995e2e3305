// A client that nobody of this project wrote, unchanged: websockets for Python, as Debian ships it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startGateway } from '../support/gateway.ts'
import { samples } from '../support/metrics.ts'

/** Says each message, in fragments where it is a list, then pings and closes; prints what came back. */
const CLIENT = `
import asyncio, json, sys, websockets

async def main():
    messages = ["hello", "", "κόσμε", b"\\x00\\xff", b"", ["frag", "ments"], "x" * 70000,
        json.dumps([{"id": i * 7919, "text": "κόσμε"} for i in range(2000)]), bytes(range(256)) * 40]
    async with websockets.connect(sys.argv[1]) as socket:
        same = []
        for message in messages:
            await socket.send(message)
            whole = "".join(message) if isinstance(message, list) else message
            same.append(await socket.recv() == whole)
        await asyncio.wait_for(await socket.ping(b"are you there"), 5)
        await socket.close(3001, "done")
        print(json.dumps({"same": same, "code": socket.close_code, "reason": socket.close_reason,
            "extensions": [extension.name for extension in socket.extensions]}))

asyncio.run(main())
`

test('python3-websockets gets its messages back, its pong, and its close code', async (t) => {
  const gateway = await startGateway(t)
  // Debian's package belongs to Debian's Python, whichever other stands first in PATH.
  const python = ['-c', CLIENT, `${gateway.ws}/ws/echo`]
  const { stdout } = await promisify(execFile)('/usr/bin/python3', python, { timeout: 30_000 })
  const { same, code, extensions } = JSON.parse(stdout)
  assert.deepEqual(same, Array(9).fill(true))
  assert.deepEqual(extensions, ['permessage-deflate'])
  const { 'compressed_frames_total{direction="in"}': received, 'compressed_frames_total{direction="out"}': sent } =
    await samples(gateway)
  assert.ok(received! >= 8, 'it compresses everything but what is empty')
  assert.equal(sent, 3, 'the long ones come back compressed')
  assert.equal(code, 3001)
})
