/**
 * `npm run bench`: compares framegate with what people use instead, on this machine, in one run.
 * `npm run bench -- --help` lists the options.
 */
import { availableParallelism, loadavg } from 'node:os'
import { measureActive } from './active.ts'
import { measureCache } from './cache.ts'
import { measureCluster } from './cluster.ts'
import { measureCompressed } from './compressed.ts'
import { measureFanout } from './fanout.ts'
import { measureFrames } from './frames.ts'
import { measureIdle } from './idle.ts'
import { measureJson } from './json.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { Failure, stopAll } from './processes.ts'
import { measurePush } from './push.ts'
import { measureSigned } from './signed.ts'
import { measureSizes } from './sizes.ts'
import { measureStreams } from './streams.ts'
import { measureSubscribed } from './subscribed.ts'
import { type Row, toMarkdown } from './table.ts'
import { measureTls } from './tls.ts'
import { measureTraces } from './traces.ts'

/** Sections by name. Each measures one thing and returns its rows of the table. */
const SECTIONS: Record<string, (options: Options) => Promise<Row[]>> = {
  frames: measureFrames,
  sizes: measureSizes,
  json: measureJson,
  tls: measureTls,
  active: measureActive,
  idle: measureIdle,
  push: measurePush,
  fanout: measureFanout,
  compressed: measureCompressed,
  subscribed: measureSubscribed,
  cache: measureCache,
  signed: measureSigned,
  traces: measureTraces,
  streams: measureStreams,
  cluster: measureCluster,
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), Object.keys(SECTIONS))
  if (options.help) return console.log(HELP)
  const processors = availableParallelism()
  const [load] = loadavg() as [number]
  if (load > processors / 4) {
    console.error(
      `bench: others keep this machine busy (load ${load.toFixed(1)} on ${processors} processors): figures will wobble`,
    )
  }
  const rows: Row[] = []
  for (const name of options.only) rows.push(...(await SECTIONS[name]!(options)))
  console.log(
    options.json
      ? JSON.stringify({ processors, node: process.version, load, options, rows }, null, 2)
      : toMarkdown(rows),
  )
}

async function end(status: number): Promise<never> {
  await stopAll()
  process.exit(status)
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => end(status))
}

main().then(
  () => end(0),
  (error: Error) => {
    console.error(`bench: ${error instanceof Failure ? error.message : error.stack}`)
    return end(1)
  },
)
