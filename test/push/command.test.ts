// The command framegate, as a child process that reaches the control API.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder } from '../cli/framegate.ts'
import { freePort } from '../support/free-port.ts'
import { controlSocket, join, joinMany, leave, pushGateway } from '../support/push-gateway.ts'
import { until } from '../support/wait.ts'
import { commandFor, framegate, type Options } from './command.ts'

test('send, publish, user and broadcast', async (t) => {
  const gateway = await pushGateway(t, { WORKERS: '4' })
  const command = commandFor(gateway)
  const [ann, bob] = [await join(gateway, 'news?user=ann'), await join(gateway, 'news?user=bob')]
  const one = 'delivered to 1 socket\n'

  const cases: Array<[string[], Options | undefined, string, string | Buffer]> = [
    [['send', ann.id, 'hällo'], undefined, one, 'hällo'],
    [['publish', 'news', 'to all but bob', '--except', bob.id], undefined, one, 'to all but bob'],
    [['publish', 'news', 'newest', '--replace', 'k', '--except', bob.id], undefined, one, 'newest'],
    [['user', 'ann', '--', '--dashes'], undefined, one, '--dashes'],
    [['broadcast', 'all', `--except=${bob.id}`], undefined, one, 'all'],
    [['send', ann.id], { input: 'two\nlines\n' }, one, 'two\nlines'],
    [['send', ann.id, '-'], { input: 'no break' }, one, 'no break'],
    [['send', ann.id, '--binary'], { input: Buffer.from([0, 255, 10]) }, one, Buffer.from([0, 255, 10])],
    [['send', ann.id, 'bytes', '--binary'], undefined, one, Buffer.from('bytes')],
    [['send', ann.id, ''], undefined, one, ''],
    [['send', ann.id, 'quiet', '-q'], undefined, '', 'quiet'],
  ]
  for (const [args, options, printed, frame] of cases) {
    assert.deepEqual(await command(args, options), { status: 0, stdout: printed, stderr: '' }, args.join(' '))
    assert.deepEqual(await ann.client.next(), frame)
  }
  assert.deepEqual(JSON.parse((await command(['send', ann.id, 'x', '--json'])).stdout), { delivered: 1, dropped: 0 })
  assert.equal(await ann.client.next(), 'x')
  for (let i = 0; i < 2; i++)
    assert.equal((await command(['publish', 'news', 'once', '--key', 'k'])).stdout, 'delivered to 2 sockets\n')
  assert.equal(await ann.client.next(), 'once')
  assert.equal(await bob.client.next(), 'once', 'the first that bob gets')
  assert.match(
    (await command(['publish', 'news', 'x', '--replace', 'k'.repeat(256)])).stderr,
    /replace is 1 to 255 bytes/,
  )
  assert.deepEqual(await command(['publish', 'nobody', 'x']), {
    status: 0,
    stdout: 'delivered to 0 sockets\n',
    stderr: '',
  })
  for (const { client } of [ann, bob]) assert.equal(await client.ask('nothing more'), 'nothing more')

  assert.deepEqual(await command(['send', 'gone', 'x']), {
    status: 1,
    stdout: '',
    stderr: 'framegate: this connection is gone, or never was\n',
  })
  assert.deepEqual(await command(['close', ann.id, '--code', '4001', '--reason', 'signed out']), {
    status: 0,
    stdout: 'closed\n',
    stderr: '',
  })
  assert.deepEqual(await ann.client.closed, { code: 4001, reason: 'signed out' })
  assert.equal((await command(['close', 'gone'])).status, 1)
  leave(bob)
})

test('closes: a table and JSON of sockets that closed', async (t) => {
  const gateway = await pushGateway(t)
  const command = commandFor(gateway)
  assert.equal((await command(['closes'])).stdout, 'no closed connections\n')
  const ann = await join(gateway, 'news?user=%1B%5B31mann&token=secret')
  await ann.client.close(4001, 'signed\nout')
  const bob = await join(gateway, 'news')
  await bob.client.close(1000)
  const list = await until('both have closed', async () => {
    const { closes } = JSON.parse((await command(['closes', '--json'])).stdout)
    return closes.length === 2 && closes
  })
  assert.deepEqual(
    list.map(({ id, code }: { id: string; code: number }) => [id, code]),
    [
      [bob.id, 1000],
      [ann.id, 4001],
    ],
  )
  const { stdout } = await command(['closes'])
  const lines = stdout.split('\n')
  assert.match(lines[0]!, /^TIME +CODE +CAUSE +REASON +DURATION +ID +USER +ADDRESS +PATH$/)
  assert.match(lines[1]!, / 1000 +client +- +\S+ +\S+ +- +127\.0\.0\.1 +\/ws\/in\/news$/)
  assert.match(lines[2]!, / 4001 +client +signed\\u\{a\}out .* \\u\{1b\}\[31mann +127\.0\.0\.1 +\/ws\/in\/news$/)
  assert.equal(lines.at(-2), '2 closed connections')
  assert.match((await command(['closes', '--limit', '1'])).stdout, /\n\n1 closed connection\n$/)
  assert.deepEqual(await command(['closes', '--limit', '1001']), {
    status: 1,
    stdout: '',
    stderr: 'framegate: limit is a whole number from 1 to 1000\n',
  })
})

test('connections, topics and topic: tables and JSON', async (t) => {
  const gateway = await pushGateway(t)
  const command = commandFor(gateway)
  assert.equal((await command(['connections'])).stdout, '0 connections\n')
  assert.equal((await command(['topics'])).stdout, 'no topics\n')
  const ann = await join(gateway, 'news?user=%1B%5B31mann')
  const others = await joinMany(gateway, 'other', 3)

  const { stdout } = await command(['connections'])
  const lines = stdout.split('\n')
  assert.match(
    lines[0]!,
    /^ID +USER +ADDRESS +STATE +COMPRESSED +AGE +IDLE +FRAMES IN +OUT +BYTES IN +OUT +OUTBOX +PATH +TOPICS$/,
  )
  assert.match(
    lines.find((line) => line.startsWith(ann.id))!,
    /^\S+ +\\u\{1b\}\[31mann +127\.0\.0\.1 +here +- +\d+ +\d+ +0 +\d+ +0 +\d+ +0 +\/ws\/in\/news +news$/,
  )
  assert.match((await command(['connections', '--show-query'])).stdout, / \/ws\/in\/news\?user=%1B%5B31mann +news\n/)
  assert.match(lines.find((line) => line.startsWith(others[0]!.id))!, /^\S+ +- /)
  assert.equal(lines.at(-2), '4 connections')
  assert.ok(!stdout.includes('\x1b'))
  assert.match((await command(['connections', '--limit', '2'])).stdout, /\n\n2 of 4 connections\n$/)

  const all = JSON.parse((await command(['connections', '--json'])).stdout)
  assert.deepEqual(
    all.connections.map(({ id }: { id: string }) => id),
    [ann, ...others].map(({ id }) => id).sort(),
  )
  assert.equal(all.count, 4)
  assert.deepEqual(JSON.parse((await command(['topics', '--json'])).stdout), {
    topics: [
      { topic: 'news', count: 1 },
      { topic: 'other', count: 3 },
    ],
  })
  assert.equal((await command(['topics'])).stdout, 'TOPIC  SOCKETS\nnews         1\nother        3\n')
  const topic = await command(['topic', 'other', '--limit', '2'])
  assert.match(topic.stdout, /\n\n2 of 3 connections\n$/)
  const members = JSON.parse((await command(['topic', 'news', '--json'])).stdout)
  assert.deepEqual([members.topic, members.count, members.connections[0].id], ['news', 1, ann.id])
  leave(ann, ...others)
})

test('where the gateway is: --socket, --url and a token that is never shown, RUN_DIR, the folder', async (t) => {
  const port = await freePort()
  const token = 'a-token-of-some-length'
  const gateway = await pushGateway(t, { CONTROL_PORT: String(port), CONTROL_TOKEN: token })
  const url = `http://127.0.0.1:${port}`
  const works: Array<[string[], Options]> = [
    [['--socket', controlSocket(gateway)], {}],
    [['--url', url, '--token', token], { env: { CONTROL_SOCKET: '/nowhere' } }],
    [['--url', url], { env: { CONTROL_TOKEN: token } }],
    [[], { env: { CONTROL_URL: url, CONTROL_TOKEN: token } }],
    [[], { env: { CONTROL_URL: `unix:${controlSocket(gateway)}` } }],
    [[], { env: { RUN_DIR: gateway.run } }],
    [['--socket', 'control/control.sock'], { cwd: gateway.run }],
  ]
  for (const [args, options] of works) {
    assert.deepEqual(
      await framegate(['topics', ...args], options),
      { status: 0, stdout: 'no topics\n', stderr: '' },
      args.join(' '),
    )
  }
  const refused = await framegate(['topics', '--url', url, '--token', `${token}x`])
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /^framegate: .*CONTROL_TOKEN\n$/)
  assert.ok(!refused.stderr.includes(token))

  const nowhere = folder(t)
  for (const [args, options, message] of [
    [
      [],
      { cwd: nowhere },
      `framegate: there is no ${nowhere}/run/control/control.sock: start the gateway, or say where its socket is (CONTROL_SOCKET)\n`,
    ],
    [
      ['--url', `http://127.0.0.1:${await freePort()}`, '--token', token],
      {},
      /^framegate: nothing listens on http:\/\/127\.0\.0\.1:\d+: [^\n]+\n$/,
    ],
  ] as Array<[string[], Options, string | RegExp]>) {
    const { status, stdout, stderr } = await framegate(['publish', 'news', 'x', ...args], options)
    assert.deepEqual([status, stdout], [1, ''])
    if (typeof message === 'string') assert.equal(stderr, message)
    else assert.match(stderr, message)
  }
})

test('help, and command lines that are refused with exit status 2', async () => {
  const overview = await framegate(['--help'])
  assert.equal(overview.status, 0)
  const names = ['send', 'publish', 'user', 'broadcast', 'connections', 'close', 'closes', 'topics', 'topic']
  for (const name of names) {
    assert.match(overview.stdout, new RegExp(`^  ${name} `, 'm'))
    for (const { status, stdout, stderr } of await Promise.all([
      framegate([name, '--help']),
      framegate([name, '-h']),
    ])) {
      assert.deepEqual([status, stderr], [0, ''])
      assert.match(stdout, new RegExp(`^Usage: framegate ${name} `))
      for (const option of ['--json', '--socket <path>', '--url <url>', '--token <token>', '--help'])
        assert.ok(stdout.includes(option), `${name}: ${option}`)
    }
  }
  assert.equal((await framegate(['help'])).stdout, overview.stdout)
  const refused: Array<[string[], RegExp]> = [
    [[], /no command given; expected one of: start, /],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['tpoics'], /unknown command 'tpoics' \(Did you mean topics\?\)/],
    [['constructor'], /unknown command 'constructor'/],
    [['--json'], /unknown option '--json'/],
    [['send'], /missing required argument 'id'/],
    [['send', '', 'x'], /'' is invalid for argument 'id'/],
    [['publish'], /missing required argument 'topic'/],
    [['topic'], /missing required argument 'name'/],
    [['send', 'a', 'b', 'c'], /too many arguments for 'send'\. Expected 2 arguments but got 3: a, b, c\. Quote data/],
    [['topics', 'a'], /too many arguments for 'topics'/],
    [['send', 'a', 'b', '--bogus'], /'--bogus'/],
    [['send', 'a', 'b', '--except', 'c'], /'--except'/],
    [['publish', 'a', 'b', '--except'], /--except/],
    [['send', 'a', 'b', '--replace', 'k'], /'--replace'/],
    [['topics', '--json=yes'], /--json/],
    [['topics', '--socket', '/a', '--url', 'http://b'], /'--socket <path>' cannot be used with option '--url <url>'/],
    [['topics', '--url', 'ftp://user:secret@b'], /http:\/\/host:port/],
    [['connections', '--limit', 'x'], /'--limit <n>' argument 'x' is invalid. Expected a whole number/],
    [['close', 'a', '--code', '1001'], /'--code <code>' argument '1001' is invalid. Expected 1000, or 3000 to 4999/],
    [['close', 'a', '--reason', 'x'.repeat(124)], /--reason <text>.*at most 123 bytes/],
  ]
  const ended = await Promise.all(refused.map(([args]) => framegate(args)))
  for (const [i, { status, stdout, stderr }] of ended.entries()) {
    const [args, message] = refused[i]!
    assert.deepEqual([status, stdout], [2, ''], args.join(' '))
    assert.match(stderr, message)
    assert.match(stderr, /^framegate: [^\n]+\n$/, 'one line')
    assert.ok(!stderr.includes('secret'))
  }
  const binary = await framegate(['publish', 'a'], { input: Buffer.from([0xff]) })
  assert.equal(binary.status, 2)
  assert.match(binary.stderr, /--binary/)
})
