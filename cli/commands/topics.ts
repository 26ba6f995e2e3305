// The commands `topics` and `topic`: list topics, and the subscribers of one topic.
import { Argument, Command } from 'commander'
import { notEmpty } from './arguments.ts'
import { gather, type ListOptions, listing, withListOptions } from './connections.ts'
import { type GatewayOptions, gatewayOf, withGatewayOptions } from './gateway.ts'
import { show, warnOfMissing } from './output.ts'
import { table } from './table.ts'

export const topics = withGatewayOptions(
  new Command('topics').description('Lists the topics that have subscribers.'),
).action(async (options: GatewayOptions) => {
  const found = await gatewayOf(options).topics({ onMissing: warnOfMissing() })
  show(options, { topics: found }, () =>
    found.length === 0
      ? 'no topics'
      : table(
          ['TOPIC', 'SOCKETS'],
          found.map(({ topic, count }) => [topic, count]),
        ),
  )
})

export const topic = withListOptions(
  new Command('topic')
    .description('Lists the connections that subscribe to a topic.')
    .addArgument(new Argument('<name>', 'of the topic').argParser(notEmpty)),
).action(async (name: string, options: ListOptions) => {
  const members = await gather(gatewayOf(options), options, name)
  show(options, { topic: name, ...members }, listing)
})
