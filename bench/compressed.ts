/**
 * The section compressed: pushes of 4 KB to the first number of --subscribers, plain and with permessage-deflate, beside a Node `ws` server
 * with the same settings.
 */
import { handshakeOf } from './client-bytes.ts'
import type { Options } from './options.ts'
import { withPeers } from './peers.ts'
import { type Cell, measureCell } from './push.ts'
import type { Row } from './table.ts'

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
  return withPeers(['node'], async (peers) => {
    const rows: Row[] = []
    const [sockets] = options.subscribers as [number]
    for (const [form, lines] of FORMS) {
      const wave = { sockets, burst: 1, handshake: handshakeOf('/ws/echo', lines), payload: PAYLOAD }
      rows.push(...rowsOf(await measureCell(peers, wave, options), sockets, form))
    }
    return rows
  })
}

function rowsOf(cell: Cell, sockets: number, form: string): Row[] {
  const section = `push of ${PAYLOAD.length.toLocaleString('en')} bytes to ${sockets.toLocaleString('en')} sockets, ${form}`
  return [
    { section, figure: 'deliveries/s', rounds: cell.deliveries, digits: 0, atLeast: { node: 1 } },
    { section, figure: 'from publish to arrival, p50, µs', rounds: cell.p50, digits: 0 },
    { section, figure: 'from publish to arrival, p99, µs', rounds: cell.p99, digits: 0 },
    { section, figure: 'processor time of the server, µs a delivery', rounds: cell.server, digits: 2 },
    { section, figure: 'bytes on the wire, a delivery', rounds: cell.bytes, digits: 0, noRatio: true },
  ]
}
