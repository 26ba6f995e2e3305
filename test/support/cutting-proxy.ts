/**
 * A TCP proxy that is a bad network: each connection ends at a random byte, in the handshake too. It is cut, closed on
 * one side only, stalled, or swallows what it gets. A seed gives each connection its fault.
 */
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Random } from '../fuzz/random.ts'

export const FAULTS = ['cut', 'half-close', 'stall', 'swallow'] as const

type Fault = (typeof FAULTS)[number]

export type CuttingProxyOptions = {
  /** The port of the gateway for the next connection. */
  target: () => number
  seed: string
  /** After so many bytes, on average, in either direction. */
  meanBytes: number
  /** Breaks nothing until `storm`. */
  isCalm?: boolean
}

export type CuttingProxy = {
  port: number
  /** How many connections had which fault. */
  counts: Record<Fault, number>
  /** From now on nothing breaks, and what is broken ends. */
  calm: () => void
  /** From now on new connections break. */
  storm: () => void
}

const HANDSHAKE_SHARE = 0.1
const HANDSHAKE_BYTES = 600 // about what a handshake, its answer and a session frame have
const LONGEST_MS = 400 // of a fault that ends by itself

type Fate = { fault: Fault; bytes: number; ms: number; isClientSide: boolean }

function fateOf(random: Random, meanBytes: number): Fate {
  const isEarly = random.chance(HANDSHAKE_SHARE)
  return {
    fault: random.pick(FAULTS),
    bytes: isEarly ? random.int(0, HANDSHAKE_BYTES) : Math.ceil(-Math.log(1 - random.next()) * meanBytes),
    ms: random.int(1, LONGEST_MS),
    isClientSide: random.chance(0.5),
  }
}

/** One connection, until its fault has come. */
class Pair {
  readonly #client: Socket
  readonly #gateway: Socket
  readonly #fate: Fate
  readonly #report: (fault: Fault) => void
  #left: number
  #isSwallowing = false

  constructor(client: Socket, port: number, fate: Fate, report: (fault: Fault) => void) {
    this.#client = client
    this.#gateway = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.#fate = fate
    this.#report = report
    this.#left = fate.bytes
    this.#join(this.#client, this.#gateway)
    this.#join(this.#gateway, this.#client)
  }

  end(): void {
    this.#client.destroy()
    this.#gateway.destroy()
  }

  /** Lets it live for ever, unless its fault has come. */
  spare(): void {
    if (this.#isSwallowing) this.end()
    else this.#left = Number.POSITIVE_INFINITY // it may have been 0, before any byte came
  }

  #join(from: Socket, to: Socket): void {
    from.setNoDelay(true)
    from.on('error', () => this.end())
    from.on('close', () => this.end())
    from.on('end', () => to.end())
    from.on('data', (data) => this.#pass(data, to))
  }

  #pass(data: Buffer, to: Socket): void {
    if (this.#isSwallowing) return
    if (data.length < this.#left) {
      this.#left -= data.length
      to.write(data)
      return
    }
    const part = data.subarray(0, this.#left)
    this.#left = 0
    to.write(part, () => this.#break())
    this.#isSwallowing = true
  }

  #break(): void {
    const { fault, ms, isClientSide } = this.#fate
    this.#report(fault)
    if (fault === 'cut') return this.end()
    const sides = [this.#client, this.#gateway]
    if (fault === 'half-close') sides[isClientSide ? 0 : 1]!.end()
    if (fault === 'stall') for (const side of sides) side.pause()
    setTimeout(() => this.end(), ms)
  }
}

export async function startCuttingProxy(
  t: Pick<TestContext, 'after'>,
  options: CuttingProxyOptions,
): Promise<CuttingProxy> {
  const { target, seed, meanBytes } = options
  const random = new Random(seed, 'network')
  const counts = { cut: 0, 'half-close': 0, stall: 0, swallow: 0 }
  const pairs = new Set<Pair>()
  let isCalm = options.isCalm ?? false
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pair = new Pair(client, target(), fateOf(random, meanBytes), (fault) => {
      counts[fault] += 1
    })
    if (isCalm) pair.spare()
    pairs.add(pair)
    client.on('close', () => pairs.delete(pair))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const pair of pairs) pair.end()
    server.close()
  })
  return {
    port: (server.address() as { port: number }).port,
    counts,
    calm: () => {
      isCalm = true
      for (const pair of pairs) pair.spare()
    },
    storm: () => {
      isCalm = false
    },
  }
}
