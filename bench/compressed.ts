/**
 * The section compressed: pushes of 4 KB to 1,000 sockets, plain and with permessage-deflate, beside a Node `ws` server
 * with the same settings.
 */
import { handshakeOf } from './client-bytes.ts'
import type { Options } from './options.ts'
import { type Cell, measureCell, withPeers } from './push.ts'
import type { Row } from './table.ts'

const SOCKETS = 1000
const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate'

/** 4 KB of JSON, in which only the numbers differ. */
const PAYLOAD = JSON.stringify(
  Array.from({ length: 48 }, (_, i) => ({
    id: i * 7919,
    user: `user${(i * 31) % 97}`,
    text: 'a message to the room',
    n: i,
  })),
)

const FORMS: Array<[string, string[]]> = [
  ['plain', []],
  ['compressed', [OFFER]],
]

export async function measureCompressed(options: Options): Promise<Row[]> {
  return withPeers(async (peers) => {
    const rows: Row[] = []
    for (const [form, lines] of FORMS) {
      const wave = { sockets: SOCKETS, burst: 1, handshake: handshakeOf('/ws/echo', lines), payload: PAYLOAD }
      rows.push(...rowsOf(await measureCell(peers, wave, options), form))
    }
    return rows
  })
}

/** Here the column (a) is the Node `ws` server. */
function rowsOf(cell: Cell, form: string): Row[] {
  const section = `push of ${PAYLOAD.length.toLocaleString('en')} bytes to ${SOCKETS.toLocaleString('en')} sockets, ${form}; (a) is Node ws`
  return [
    { section, figure: 'deliveries/s', rounds: cell.deliveries, digits: 0, atLeast: { middle: 1 } },
    { section, figure: 'from publish to arrival, p50, µs', rounds: cell.p50, digits: 0 },
    { section, figure: 'from publish to arrival, p99, µs', rounds: cell.p99, digits: 0 },
    { section, figure: 'processor time of the server, µs a delivery', rounds: cell.server, digits: 2 },
    { section, figure: 'bytes on the wire, a delivery', rounds: cell.bytes, digits: 0, noRatio: true },
  ]
}
