// What a bridge counts, in the text format of Prometheus.
// https://prometheus.io/docs/instrumenting/exposition_formats/

export type Transport = 'tcp' | 'udp'

type Metric = { type: 'counter' | 'gauge'; help: string; labels: Record<string, readonly string[]> }

const TRANSPORTS: readonly Transport[] = ['tcp', 'udp']
const DIRECTIONS = ['in', 'out'] as const

/** Every metric with the values of its labels. docs/bridge.md explains them. */
const METRICS = {
  sockets: {
    type: 'gauge',
    help: 'Sockets of the gateway that are open for devices.',
    labels: { transport: TRANSPORTS },
  },
  max_connections: { type: 'gauge', help: 'The value of --max-connections.', labels: {} },
  sockets_opened_total: {
    type: 'counter',
    help: 'Sockets that the gateway has accepted.',
    labels: { transport: TRANSPORTS },
  },
  sockets_refused_total: {
    type: 'counter',
    help: 'Devices that got no socket, by cause.',
    labels: { transport: TRANSPORTS, cause: ['full', 'refused', 'unavailable', 'left', 'stop'] },
  },
  sockets_closed_total: {
    type: 'counter',
    help: 'Sockets that have ended, by cause.',
    labels: {
      transport: TRANSPORTS,
      cause: ['device', 'broken', 'gateway', 'lost', 'idle', 'slow', 'too_large', 'stop'],
    },
  },
  messages_total: {
    type: 'counter',
    help: 'Messages of devices (in), and frames of the gateway (out).',
    labels: { transport: TRANSPORTS, direction: DIRECTIONS },
  },
  bytes_total: {
    type: 'counter',
    help: 'Payload of these messages and frames.',
    labels: { transport: TRANSPORTS, direction: DIRECTIONS },
  },
  datagrams_dropped_total: {
    type: 'counter',
    help: 'Datagrams that were not passed on.',
    labels: { direction: DIRECTIONS },
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof METRICS
export type Refusal = (typeof METRICS)['sockets_refused_total']['labels']['cause'][number]
export type Cause = (typeof METRICS)['sockets_closed_total']['labels']['cause'][number]

/** Counts from zero, from the start of the bridge. */
export class Counters {
  #values = new Map<string, number>()

  constructor() {
    for (const [name, { labels }] of Object.entries(METRICS)) {
      for (const series of seriesOf(labels)) this.#values.set(`${name}${series}`, 0)
    }
  }

  /** @param labels in the order of the metric's table */
  add(name: MetricName, labels: Record<string, string>, amount = 1): void {
    const key = `${name}${written(labels)}`
    const value = this.#values.get(key)
    if (value === undefined) throw new Error(`there is no metric ${key}`)
    this.#values.set(key, value + amount)
  }

  toString(): string {
    return Object.entries(METRICS)
      .map(([name, { type, help, labels }]) => {
        const full = `framegate_bridge_${name}`
        const rows = seriesOf(labels).map((series) => `${full}${series} ${this.#values.get(`${name}${series}`)}\n`)
        return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${rows.join('')}`
      })
      .join('')
  }
}

function seriesOf(labels: Record<string, readonly string[]>): string[] {
  const combinations = Object.entries(labels).reduce<Array<Record<string, string>>>(
    (so, [label, values]) => so.flatMap((one) => values.map((value) => ({ ...one, [label]: value }))),
    [{}],
  )
  return combinations.map(written)
}

function written(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
