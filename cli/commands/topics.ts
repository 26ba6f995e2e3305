import type { Command } from './command.ts'
import { gather, LIST_OPTIONS, listing } from './connections.ts'
import { GATEWAY_OPTIONS, gatewayOf, show } from './gateway.ts'
import { table } from './table.ts'

const topics: Command = {
  usage: '',
  summary: 'Lists topics that have subscribers.',
  options: GATEWAY_OPTIONS,
  async run(input) {
    const all = await gatewayOf(input).topics()
    show(input, { topics: all }, () =>
      all.length === 0
        ? 'no topics'
        : table(
            ['TOPIC', 'SOCKETS'],
            all.map(({ topic, count }) => [topic, count]),
          ),
    )
  },
}

const topic: Command = {
  usage: 'NAME',
  summary: 'Lists the connections that subscribe to a topic.',
  options: LIST_OPTIONS,
  async run(input) {
    const gateway = gatewayOf(input)
    const [name] = input.args as [string]
    const members = await gather(input, (page) => gateway.topic(name, page))
    show(input, { topic: name, ...members }, listing)
  },
}

export const topicCommands: Record<string, Command> = { topics, topic }
