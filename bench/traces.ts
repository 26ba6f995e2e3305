/** The section traces: what spans add to a message in the gateway, when none, one of a hundred or every event is sampled. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { NO_PINGS, startTopicGateway, type TopicGateway } from './gateways.ts'
import { measureLoad } from './load.ts'
import type { Options } from './options.ts'
import type { Row } from './table.ts'

/** One socket sends events alone, many send batches. */
const SOCKETS = [1, 64]
const SHARES = ['0', '0.01', '1']

export async function measureTraces(options: Options): Promise<Row[]> {
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.end('{}'))
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  const gateways = new Map<string, TopicGateway>([['no traces', await startTopicGateway(NO_PINGS)]])
  for (const share of SHARES) {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: share }
    gateways.set(`traces, ${Number(share) * 100} % sampled`, await startTopicGateway({ ...NO_PINGS, ...env }))
  }
  const rows: Row[] = []
  for (const sockets of SOCKETS) rows.push(...(await measureWith(sockets, gateways, options)))
  for (const gateway of gateways.values()) await gateway.stop()
  collector.close()
  collector.closeAllConnections()
  return rows
}

/** The gateways take turns, so that what else the machine does hits all of them. */
async function measureWith(sockets: number, gateways: Map<string, TopicGateway>, options: Options): Promise<Row[]> {
  const times = new Map<string, number[]>([...gateways.keys()].map((what) => [what, []]))
  for (let round = 0; round < options.rounds; round++)
    for (const [what, gateway] of gateways)
      times.get(what)!.push((await measureLoad({ ...gateway, path: '/ws/plain' }, { sockets }, options)).gateway)
  return [...times].map(([what, values]) => ({
    section: `traces, ${sockets} socket${sockets === 1 ? '' : 's'}`,
    figure: `processor time of the gateway, µs a message, ${what}`,
    digits: 2,
    rounds: { framegate: values },
  }))
}
