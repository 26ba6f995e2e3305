/**
 * A conformance suite for WebSocket servers that echo, as a function of a URL: the cases of the Autobahn Testsuite but
 * compression (12 and 13), which test/gateway/compression.test.ts has. Stricter than the original: every failed connection must
 * say its close code (RFC 6455 section 7.4.1), and what is to be answered is answered before that.
 */
import { type Case, Peer } from './case.ts'
import { CLOSING } from './closing.ts'
import { FRAGMENTATION } from './fragmentation.ts'
import { FRAMING } from './framing.ts'
import { LIMITS } from './limits.ts'
import { UTF8 } from './utf8.ts'

export const CASES: Case[] = [...FRAMING, ...FRAGMENTATION, ...UTF8, ...CLOSING, ...LIMITS]

const AT_ONCE = 8

/** Plays cases against `url` (`ws://127.0.0.1:PORT/PATH`). Returns a line for each that failed, in no order. */
export async function play(url: string, cases: Case[]): Promise<string[]> {
  const failures: string[] = []
  const rest = [...cases]
  const next = async (): Promise<void> => {
    for (let one = rest.shift(); one; one = rest.shift()) {
      const peer = await Peer.connect(url)
      await one
        .play(peer)
        .catch((error: Error) => failures.push(`${one!.id} ${one!.what}: ${error.message}`))
        .finally(() => peer.destroy())
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  return failures
}
