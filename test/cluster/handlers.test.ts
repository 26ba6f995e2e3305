// A node that dies: the close events of its sockets go to the handlers that their locations named.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { KILLED, startGateway } from '../support/gateway.ts'
import { startProbeHandler } from '../support/probe-handler.ts'
import { startRedis } from '../support/redis.ts'
import { areUp, untilNodes } from '../support/two-nodes.ts'
import { until } from '../support/wait.ts'

test('another node sends the close event to the handler of the socket', async (t) => {
  const [redis, port, other] = await Promise.all([startRedis(t), freePort(), freePort()])
  const own = await startProbeHandler(t, port)
  const others = await startProbeHandler(t, other)
  const start = (name: string) =>
    startGateway(t, {
      handler: false,
      expect: [KILLED],
      env: {
        REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        NODE_NAME: name,
        WORKERS: '1',
        HANDLER_URL: `http://127.0.0.1:${other}`,
      },
      // Only the node that dies has this location.
      locations:
        name === 'north'
          ? `location /ws/own/ { set $ws_handler "http://127.0.0.1:${port}"; include socket.conf; }`
          : '',
    })
  const [north, south] = await Promise.all([start('north'), start('south')])
  await untilNodes(south, 'both nodes are up', areUp(2))
  await open(`${north.ws}/ws/own/a`)
  await open(`${north.ws}/ws/b`)
  const id = String((await own.seen('open')).headers['ce-connectionid'])
  const records = `framegate:records:${id.slice(0, 4)}`
  await until('Redis has both records', async () => (await redis.ask('HLEN', records)) === ':2\r\n')
  await north.kill()
  // A lease of 9 s has to be seen gone for 3 s, by a node that has had answers for 12 s without a gap.
  const event = await own.seen('close', undefined, 60_000)
  assert.deepEqual([event.url, event.headers['ce-closecode']], ['/ws/own/a', '1006'])
  assert.equal((await others.seen('close')).url, '/ws/b')
  assert.equal(own.events.filter(({ type }) => type === 'framegate.close').length, 1)
})
