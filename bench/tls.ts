/** The section tls: framegate over TLS, beside its plain port, and beside `ws` + `undici` over TLS. */

import { freePort } from '../test/support/free-port.ts'
import { certificate } from './certificate.ts'
import { NO_PINGS, startMiddle, startTopicGateway } from './gateways.ts'
import { measureRounds, type Rounds, rowMaker, type Target } from './load.ts'
import type { Options } from './options.ts'
import { stop } from './processes.ts'
import type { Row } from './table.ts'

/** Fewer sockets open too fast to be measured. */
const LEAST_JOINS = 64

export async function measureTls(options: Options): Promise<Row[]> {
  const files = certificate()
  const tlsPort = await freePort()
  const gateway = await startTopicGateway({
    ...NO_PINGS,
    TLS_CERTIFICATE: files.certificate,
    TLS_CERTIFICATE_KEY: files.key,
    TLS_PORT: String(tlsPort),
  })
  const middle = await startMiddle(gateway.handlerSocket, files)
  const path = '/ws/plain'
  const handlerPid = gateway.handler.pid!
  const targets: Target[] = [
    { ...gateway, handlerPid, path, port: tlsPort, tls: true },
    { ...gateway, handlerPid, path, key: 'plain' },
    { ...middle, handlerPid, path, tls: true },
  ]
  const cells = await measureRounds(
    targets,
    options.sockets.map((sockets) => ({ sockets })),
    options,
  )
  await stop(middle.child)
  await gateway.stop()
  return cells.flatMap((rounds, i) => rowsOf(options.sockets[i]!, rounds))
}

function rowsOf(sockets: number, rounds: Rounds): Row[] {
  const row = rowMaker(`TLS, ${sockets} socket${sockets === 1 ? '' : 's'}`, rounds)
  return [
    row('frames/s', 'perSecond', 0),
    row('latency p50, µs', 'p50', 0),
    row('processor time of the gateway, µs a frame', 'gateway', 1),
    ...(sockets < LEAST_JOINS ? [] : [row('sockets that open, a second', 'joins', 0)]),
  ]
}
