/** The clients: good ones, whose every message must come back, and chaotic ones, who do whatever the seed says. */
import { frame, RawSocket, rawSocket } from '../support/raw-socket.ts'
import { MARK } from './answers.ts'
import { defectOf, someFrames } from './frames.ts'
import { dial, handshake, noise, send } from './handshakes.ts'
import { pause, Random } from './random.ts'

const [TEXT, CLOSE, PING] = [1, 8, 9]
const PATIENCE = 15_000 // ms: how long the gateway may take for anything, on a busy machine
const END_MS = 60_000 // until it has answered everything and ended a connection

/** What a client found wrong; its message says which client it was. */
export class Finding extends Error {}

/** Reads everything that comes, until the end, and checks it. */
async function readAll(socket: RawSocket, name: string): Promise<void> {
  const deadline = Date.now() + END_MS
  const compresses = socket.headers['sec-websocket-extensions'] !== undefined
  let isClosed = false
  while (true) {
    const got = await socket.frame(PATIENCE).catch((error: Error) => error)
    const hasEnded = got instanceof Error && !got.message.startsWith('nothing came')
    if (hasEnded) return
    if (got instanceof Error || Date.now() > deadline) throw new Finding(`${name}: its connection was not ended`)
    const defect = isClosed ? `opcode ${got.opcode} behind a close frame` : defectOf(got, compresses)
    if (defect) throw new Finding(`${name}: the gateway sent ${defect}`)
    isClosed = got.opcode === CLOSE
  }
}

/** The next answer: pushes, pings and pongs are not meant. */
async function nextAnswer(socket: RawSocket): Promise<{ opcode: number; payload: Buffer }> {
  while (true) {
    const got = await socket.frame(PATIENCE)
    if (got.opcode === PING) socket.write(frame(10, got.payload))
    else if (got.opcode !== 10 && !got.payload.toString().startsWith(MARK)) return got
  }
}

/** Says messages, a few at once, and waits for each to come back in its order. Then says goodbye. */
export async function playGood(port: number, seed: string, number: number): Promise<void> {
  const name = `good client ${number}`
  const random = new Random(seed, name)
  const localAddress = `127.0.0.${random.int(1, 4)}`
  const socket = await rawSocket(port, `/ws/good/${number}`, { localAddress })
  try {
    for (let round = random.int(1, 15); round > 0; round--) {
      const texts = Array.from({ length: random.int(1, 4) }, () => `${number}:${random.text(random.size(5000))}`)
      socket.write(...texts.map((text) => frame(TEXT, text)))
      for (const text of texts) {
        const { opcode, payload } = await nextAnswer(socket)
        if (opcode !== TEXT || payload.toString() !== text) {
          throw new Error(`got opcode ${opcode} ${payload.subarray(0, 300)} in place of ${text.slice(0, 60)}`)
        }
      }
      await pause(random.int(0, 200))
    }
    socket.write(frame(CLOSE, Buffer.of(3, 232)))
    if ((await socket.closeFrame(PATIENCE)).code !== 1000) throw new Error('another close code than 1000 came back')
    await socket.end(PATIENCE)
  } catch (error) {
    throw new Finding(`${name}: ${(error as Error).message}`)
  } finally {
    socket.socket.destroy()
  }
}

type Ending = (socket: RawSocket, name: string) => Promise<void>

/** How a chaotic client leaves. */
const ENDINGS: Ending[] = [
  async (raw, name) => {
    raw.write(frame(CLOSE, Buffer.of(3, 232)))
    await readAll(raw, name)
  },
  async (raw, name) => {
    raw.socket.end()
    await readAll(raw, name)
  },
  async (raw) => void raw.socket.resetAndDestroy(),
  async (raw) => void raw.socket.destroy(),
  readAll, // says nothing more: IDLE_TIMEOUT ends it
  async (raw) => {
    raw.socket.pause()
    await pause(500)
    raw.socket.destroy()
  },
]

/** A connection with any handshake, any frames and any end. */
export async function playChaotic(port: number, seed: string, number: number): Promise<void> {
  const name = `chaotic client ${number}`
  const random = new Random(seed, name)
  const raw = new RawSocket(dial(port, random))
  try {
    const isNoise = random.chance(0.05)
    const bytes = isNoise ? noise(random) : handshake(`/ws/fuzz/${number}`, port, random)
    const isHalf = random.chance(0.05)
    await send(raw.socket, isHalf ? bytes.subarray(0, random.int(0, bytes.length)) : bytes, random)
    const isImpatient = random.chance(0.1)
    if (!isImpatient && !isNoise && !isHalf) {
      const { status } = await raw.response(PATIENCE).catch(() => ({ status: 0 }))
      if (status !== 101) return
    }
    for (let step = random.int(0, 12); step > 0 && !raw.socket.destroyed; step--) {
      await send(raw.socket, someFrames(random), random)
      if (random.chance(0.5)) await pause(random.int(0, 150))
    }
    const end = random.pick(ENDINGS)
    if (isImpatient || isNoise || isHalf) await pause(random.int(0, 300))
    else await end(raw, name)
  } finally {
    raw.socket.destroy()
  }
}
