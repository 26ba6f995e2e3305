/**
 * The section json: a route whose schema checks each message and writes each reply, beside one that parses and writes
 * JSON itself and checks nothing, and beside `ws` + `undici` in front of the route with the schema.
 */
import { NO_PINGS, startMiddle, startTopicGateway } from './gateways.ts'
import { measureRounds, type Rounds, rowMaker, type Target } from './load.ts'
import type { Options } from './options.ts'
import { stop } from './processes.ts'
import type { Row } from './table.ts'

/** In the order of the schema, in which the reply is written. */
const PAYLOAD = JSON.stringify({ room: 'lobby', text: 'Where do we meet?', ref: 17, to: ['ada', 'grace', 'edsger'] })

export async function measureJson(options: Options): Promise<Row[]> {
  const gateway = await startTopicGateway(NO_PINGS)
  const middle = await startMiddle(gateway.handlerSocket)
  const handlerPid = gateway.handler.pid!
  const targets: Target[] = [
    { ...gateway, handlerPid, path: '/ws/schema' },
    { ...gateway, handlerPid, path: '/ws/json', key: 'unchecked' },
    { ...middle, handlerPid, path: '/ws/schema' },
  ]
  const loads = options.sockets.map((sockets) => ({ sockets, payload: PAYLOAD }))
  const cells = await measureRounds(targets, loads, options)
  await stop(middle.child)
  await gateway.stop()
  return cells.flatMap((rounds, i) => rowsOf(options.sockets[i]!, rounds))
}

function rowsOf(sockets: number, rounds: Rounds): Row[] {
  const row = rowMaker(`JSON of ${PAYLOAD.length} bytes, ${sockets} socket${sockets === 1 ? '' : 's'}`, rounds)
  return [
    row('frames/s', 'perSecond', 0),
    row('latency p50, µs', 'p50', 0),
    row('processor time of the gateway, µs a frame', 'gateway', 1),
    row('… of the handler, µs a frame', 'handler', 1),
  ]
}
