/** Fuzzing for a time: rounds of some seconds, one after the other, on one gateway. */
import type { TestContext } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { FACTS_LOCATION } from './facts.ts'
import { Handler } from './handler.ts'
import { ENVIRONMENT, EXPECTED, playRound } from './round.ts'

const ROUND_MS = 10_000
const MEBIBYTE = 1024 * 1024
const MORE_MEMORY = 64 * MEBIBYTE // than after the first round, in all workers
const MORE_FILES = 40

export type FuzzOptions = {
  seed: string
  seconds: number
  /** Is given a line after each round. */
  report?: (line: string) => void
}

/** Where what was started is ended: a test's context, or the command's own. */
export type Endings = { after: (ending: () => unknown) => void }

/** Fuzzes a gateway. @throws {Error} with the round's seed and everything it found, after the first round that finds anything */
export async function fuzz(t: Endings, { seed, seconds, report = () => {} }: FuzzOptions): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  const port = await freePort()
  const gateway = await startGateway(t as TestContext, {
    handler: false,
    env: { ...ENVIRONMENT, HANDLER_URL: `http://127.0.0.1:${port}` },
    locations: FACTS_LOCATION,
    expect: EXPECTED,
  })
  let first: { files: number; memory: number } | undefined
  for (let round = 0; Date.now() < deadline; round++) {
    const roundSeed = round === 0 ? seed : `${seed}+${round}`
    const handler = new Handler(roundSeed)
    await handler.listen(port)
    const ms = Math.min(ROUND_MS, seconds * 1000)
    const { findings, facts } = await playRound(gateway, handler, roundSeed, ms).finally(() => handler.stop())
    first ??= facts
    if (facts.memory > first.memory + MORE_MEMORY) findings.push(`memory: ${first.memory} bytes, then ${facts.memory}`)
    if (facts.files > first.files + MORE_FILES) findings.push(`open files: ${first.files}, then ${facts.files}`)
    report(
      `${roundSeed}: ${handler.ledger.count} events, ${handler.faults} faults, ${findings.length} findings, ${JSON.stringify(facts)}`,
    )
    if (findings.length > 0)
      throw new Error(`seed ${roundSeed}: ${findings.length} findings\n${findings.slice(0, 30).join('\n')}`)
  }
}
