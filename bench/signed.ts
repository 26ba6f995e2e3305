/** The section signed: what HANDLER_SECRET adds to a message, alone and in batches, in the gateway and in the plugin. */
import { NO_PINGS, startTopicGateway, type TopicGateway } from './gateways.ts'
import { timeOfMessage } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

/** One socket sends events alone, many send batches. */
const SOCKETS = [1, 64]
const HANDLER_SECRET = `whsec_${Buffer.alloc(32, 'secret').toString('base64')}`

export async function measureSigned(options: Options): Promise<Row[]> {
  const plain = await startTopicGateway(NO_PINGS)
  const signed = await startTopicGateway({ ...NO_PINGS, HANDLER_SECRET })
  const rows: Row[] = []
  for (const sockets of SOCKETS) {
    const measure = (gateway: TopicGateway): Promise<number> =>
      timeOfMessage({ ...gateway, path: '/ws/plain' }, sockets, options)
    const times: Record<'plain' | 'signed', number[]> = { plain: [], signed: [] }
    for (let round = 0; round < options.rounds; round++) {
      times.plain.push(await measure(plain))
      times.signed.push(await measure(signed))
    }
    rows.push(rowOf(sockets, 'not signed', times.plain), rowOf(sockets, 'signed and verified', times.signed))
  }
  await plain.stop()
  await signed.stop()
  return rows
}

function rowOf(sockets: number, what: string, values: number[]): Row {
  return {
    section: `signatures, ${sockets} socket${sockets === 1 ? '' : 's'}`,
    figure: `processor time of gateway and handler, µs a message, ${what}`,
    digits: 1,
    rounds: { framegate: values },
  }
}
