// What is longer than the buffer of a socket, or came together with its handshake, arrives whole and in order.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { certificates } from '../support/certificates.ts'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { echo, startProbeHandler } from '../support/probe-handler.ts'
import { frame, type RawSocket, rawSocket } from '../support/raw-socket.ts'

const BINARY = 2
/** Of a read through the buffer of a socket, and of one beside it. */
const [BUFFER, MORE] = [256, 16384]
const AROUND = Array.from({ length: 21 }, (_, i) => i - 10)
/** Payloads whose frames end near the end of a read, and some larger ones. */
const SIZES = [...[BUFFER - 8, BUFFER + MORE - 8].flatMap((size) => AROUND.map((more) => size + more)), 600, 70_000]

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) & 0xff))
}

async function start(t: TestContext, env: Record<string, string>, locations = ''): Promise<Gateway> {
  const gateway = await startGateway(t, { handler: false, env: { WORKERS: '1', ...env }, locations })
  await startProbeHandler(t, gateway.handlerSocket, echo)
  return gateway
}

async function assertEchoed(socket: RawSocket, payloads: Buffer[]): Promise<void> {
  for (const payload of payloads) {
    const got = (await socket.frame()).payload
    assert.ok(got.equals(payload), `${got.length} bytes came in place of ${payload.length}`)
  }
}

for (const DIRECT_IO of ['on', 'off']) {
  test(`DIRECT_IO=${DIRECT_IO}: messages of all lengths around those of a read, singly and together`, async (t) => {
    const gateway = await start(t, { DIRECT_IO })
    const socket = await rawSocket(gateway.port, '/ws/echo')
    const payloads = SIZES.map(bytes)
    for (const payload of payloads) {
      socket.write(frame(BINARY, payload))
      await assertEchoed(socket, [payload])
    }
    socket.write(...payloads.map((payload) => frame(BINARY, payload)))
    await assertEchoed(socket, payloads)
    socket.socket.destroy()
  })

  test(`DIRECT_IO=${DIRECT_IO}: messages that come together with the handshake come first`, async (t) => {
    const gateway = await start(t, { DIRECT_IO })
    for (const more of AROUND) {
      // The first ends near the end of a read. All do not fit beside the handshake in nginx's buffer of 1 KB.
      const [first, ...later] = [BUFFER - 8 + more, 300, 300, 300, 3000, 20].map(bytes)
      const after = Buffer.concat([first!, ...later].map((payload) => frame(BINARY, payload)))
      const socket = await rawSocket(gateway.port, '/ws/echo', { after })
      socket.write(frame(BINARY, first!))
      await assertEchoed(socket, [first!, ...later, first!])
      socket.socket.destroy()
    }
  })

  test(`DIRECT_IO=${DIRECT_IO}: a TLS socket`, async (t) => {
    const pki = certificates(t)
    const { certificate, key } = pki.make('site')
    const port = await freePort()
    const TLS = { TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key, TLS_PORT: String(port) }
    await start(t, { DIRECT_IO, ...TLS })
    const client = await open(`wss://localhost:${port}/ws/echo`, { ca: pki.authority })
    for (const payload of SIZES.map(bytes)) assert.ok(((await client.ask(payload)) as Buffer).equals(payload))
    await client.close()
  })

  test(`DIRECT_IO=${DIRECT_IO}: whether the gateway uses nginx's own functions`, async (t) => {
    const locations = `location = /address {
      content_by_lua_block { ngx.print(require("framegate.runtime.direct_io").address() ~= nil) }
    }`
    const gateway = await start(t, { DIRECT_IO }, locations)
    assert.equal(await (await fetch(`${gateway.url}/address`)).text(), String(DIRECT_IO === 'on'))
  })
}
