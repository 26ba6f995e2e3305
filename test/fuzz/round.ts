/** One round of the fuzzer: clients, handler and operator at once, all from one seed, and then what must be true again. */
import type { Gateway } from '../support/gateway.ts'
import { Finding, playChaotic, playGood } from './clients.ts'
import { type Facts, isQuiet, lookUp } from './facts.ts'
import type { Handler } from './handler.ts'
import { operate, reloadNowAndThen } from './operator.ts'
import { pause, Random } from './random.ts'

const CHAOTIC = 30 // at once
const GOOD = 6
const SETTLE_MS = 40_000

export const WORKERS = 2

/** The gateway's variables: everything that ends something ends it soon. */
export const ENVIRONMENT = {
  WORKERS: String(WORKERS),
  MAX_MESSAGE_BYTES: '65536',
  OUTBOX_BYTES: '65536',
  MAX_CONNECTIONS_PER_IP: '500',
  MAX_ANSWER_BYTES: '1m',
  HANDLER_TIMEOUT: '5s',
  HANDLER_WAIT: '3s',
  PING_INTERVAL: '1s',
  IDLE_TIMEOUT: '3s',
  MESSAGE_TIMEOUT: '3s',
}

type Play = (port: number, seed: string, number: number) => Promise<void>

/** Plays clients one after the other, each with the next number, until `isOver`. Returns what they found. */
async function playMany(
  play: Play,
  gateway: Gateway,
  seed: string,
  numbers: () => number,
  isOver: () => boolean,
): Promise<string[]> {
  const findings: string[] = []
  while (!isOver()) {
    await play(gateway.port, seed, numbers()).catch((error: Error) => findings.push(wordsOf(error)))
  }
  return findings
}

function wordsOf(error: Error): string {
  return error instanceof Finding ? error.message : (error.stack ?? error.message)
}

function counter(): () => number {
  let last = 0
  return () => ++last
}

async function act(gateway: Gateway, seed: string, ms: number): Promise<string[]> {
  const deadline = Date.now() + ms
  const isOver = (): boolean => Date.now() > deadline
  const [chaotic, good] = [counter(), counter()]
  const actors = [
    ...Array.from({ length: CHAOTIC }, () => playMany(playChaotic, gateway, seed, chaotic, isOver)),
    ...Array.from({ length: GOOD }, () => playMany(playGood, gateway, seed, good, isOver)),
    operate(gateway, new Random(seed, 'operator'), isOver),
    reloadNowAndThen(gateway, new Random(seed, 'reloads'), isOver),
  ]
  return (await Promise.all(actors)).flat()
}

/** Waits until nothing is left of the round, or SETTLE_MS have passed. */
async function settle(gateway: Gateway, handler: Handler): Promise<Facts> {
  const deadline = Date.now() + SETTLE_MS
  while (true) {
    const facts = await lookUp(gateway)
    const isOver = isQuiet(facts, WORKERS) && handler.ledger.owed().length === 0
    if (isOver || Date.now() > deadline) return facts
    await pause(250)
  }
}

/** What is left behind that should not be. */
function leftOvers(before: Facts, facts: Facts, handler: Handler): string[] {
  const left: string[] = []
  if (!isQuiet(facts, WORKERS)) left.push(`not all is quiet after ${SETTLE_MS / 1000} s: ${JSON.stringify(facts)}`)
  const owed = handler.ledger.owed()
  if (owed.length > 0) left.push(`${owed.length} sockets have no close event: ${owed.slice(0, 10).join(', ')}`)
  const timeouts = facts.timeouts - before.timeouts
  if (timeouts > handler.silences) left.push(`${timeouts} time-outs of ${handler.silences} silences of the handler`)
  return left
}

/** What faulty answers are announced by, and lanes that met a worker which a reload had sent away. */
export const EXPECTED = [
  /the handler's answer cannot be applied/,
  /the answer to open cannot be applied/,
  /the answer to close was not understood/,
  /(?:recv|send)\(\) failed \((?:104|32): .*context: ngx\.timer/,
]

/** Lines of nginx's log that are faults of the gateway, and none of what the round itself asked for. */
function faultsIn(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => /\[(?:error|crit|alert|emerg)\]|exited on signal|stack traceback/.test(line))
    .filter((line) => !EXPECTED.some((pattern) => pattern.test(line)))
}

/** Plays a round of `ms` milliseconds. Returns everything that was found, and what the gateway holds afterwards. */
export async function playRound(
  gateway: Gateway,
  handler: Handler,
  seed: string,
  ms: number,
): Promise<{ findings: string[]; facts: Facts }> {
  const logged = gateway.log().length
  const before = await lookUp(gateway)
  setTimeout(() => (handler.isSound = true), ms) // clients whose messages wait for answers end only then
  const findings = await act(gateway, seed, ms)
  const facts = await settle(gateway, handler)
  findings.push(...leftOvers(before, facts, handler), ...handler.ledger.breaches())
  findings.push(...faultsIn(gateway.log().slice(logged)))
  return { findings, facts }
}
