// The variables of docs/operating.md are those that are read, with these defaults; each is checked, and each is used.
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readConfig } from '../../handler/config.ts'
import { certificates } from '../support/certificates.ts'
import { freePort } from '../support/free-port.ts'
import { nginxOf, project } from '../support/gateway.ts'

const SECRET = `whsec_${'A'.repeat(32)}`

/** For each variable of the gateway: values that are refused, and values that are good and not the default. */
const GATEWAY: Record<string, { bad: string[]; good: string[] }> = {
  PORT: { bad: ['0', '65536', 'http', '80 '], good: [] },
  PORTS: { bad: ['0', '80,http', ','], good: [] },
  TLS_CERTIFICATE: { bad: ['cert.pem', '/a b.pem', '/a;b.pem'], good: [] },
  TLS_CERTIFICATE_KEY: { bad: ['key.pem', '/a$b.pem'], good: [] },
  TLS_PORT: { bad: ['0', '65536', 'https'], good: [] },
  TLS_REDIRECT: { bad: ['yes', '1', 'ON'], good: ['on'] },
  USER_NAME: { bad: ['no body', '-x', 'a;b', '1000'], good: [userInfo().username] },
  NGINX: { bad: ['nginx', './nginx', '/a b/nginx', '/nowhere/nginx'], good: ['/usr/sbin/nginx'] },
  SOCKET_PATH: { bad: ['ws', '/ws', '/', '//', '/a b/', '/ws/;'], good: ['/live/', '/a/b-c.d/'] },
  HANDLER_URL: {
    bad: [
      'handler:3000',
      'http://a/path',
      'http://a,b',
      ',',
      'ws://a',
      'http://a weight=0',
      'weight=2 http://a',
      'http://a,https://b',
      'fastcgi://a:9000',
      'fastcgi://a:9000?script=a.php',
      'fastcgi://unix:/run/php.sock?script=/a.php&keep=many',
    ],
    good: [
      'https://127.0.0.1:4000',
      'http://a:1,http://b:2',
      'http://a:3000 weight=3, http://b:3000',
      'fastcgi://127.0.0.1:9000?script=/srv/app/socket.php',
      'fastcgi://unix:/run/php/php-fpm.sock?script=/srv/app/socket.php&keep=2 weight=5',
    ],
  },
  SITE_URL: {
    bad: ['example.com', 'http://a:0', 'http://a;'],
    good: ['https://example.com', 'http://unix:/nowhere.sock'],
  },
  SITE_TIMEOUT: { bad: ['0', '25h', 'off'], good: ['30s', '24h'] },
  SITE_STREAM_TIMEOUT: { bad: ['0', '25h', 'off'], good: ['5m', '24h'] },
  CONTROL_SOCKET: { bad: ['control.sock', '/a b.sock', '/a;b.sock', `/${'a'.repeat(107)}`], good: [] },
  WORKERS: { bad: ['0', '129', 'many'], good: ['3', '1', '128'] },
  WORKER_CONNECTIONS: { bad: ['63', '1000001', '1k'], good: ['64', '1000', '1000000'] },
  MAX_CONNECTIONS_PER_IP: { bad: ['-1', 'none', '65536'], good: ['5', 'off', '0', '65535'] },
  TRUSTED_PROXIES: {
    bad: ['10.0.0.0/33', 'proxy', '999.0.0.1', '10.0.0.0/', ','],
    good: ['10.0.0.0/8, fd00::/8 ::1', '0.0.0.0/0,::/0'],
  },
  ALLOWED_ORIGINS: {
    bad: ['example.com', 'https://a/b', 'file:'],
    good: ['https://*.example.com', '*', 'null', 'file://'],
  },
  MAX_MESSAGE_BYTES: { bad: ['0', '2g', '1.5m', 'huge'], good: ['65536', '1', '1073741824'] },
  COMPRESSION: { bad: ['yes', '1', 'ON'], good: ['off'] },
  DIRECT_IO: { bad: ['yes', '1', 'ON'], good: ['off'] },
  COMPRESSION_MIN_BYTES: { bad: ['-1', '2g', '1.5k'], good: ['4k', '0', '1g'] },
  MESSAGE_TIMEOUT: { bad: ['0', '25h', '5 s'], good: ['5m', '100ms', '24h'] },
  PING_INTERVAL: { bad: ['0', 'often', '60s'], good: ['500ms', '59.9'] },
  IDLE_TIMEOUT: { bad: ['100ms', '-5', '25h'], good: ['30s', '24h'] },
  HANDLER_SECRET: {
    bad: [
      'secret',
      'whsec_',
      `whsec_${'A'.repeat(28)}`,
      `whsec_${'A'.repeat(31)}`,
      `whsec_${'A'.repeat(92)}`,
      `whsek_${'A'.repeat(32)}`,
      `${SECRET} ${SECRET} ${SECRET}`,
    ],
    good: [SECRET, `${SECRET}, whsec_${'+/'.repeat(42)}AA==`],
  },
  HANDLER_PROTOCOL: { bad: ['lambda', 'pushpin', 'AWS', 'GRIP', 'http'], good: ['aws', 'grip'] },
  HANDLER_AWS_ROUTES: {
    bad: ['$other', 'a=', '=b', 'a=b c=d/e', ','],
    good: ['a/b, $connect=on-connect'],
  },
  HANDLER_AWS_ROUTE_SELECTION: {
    bad: ['action', '$request.body', '$request.header.action', '${request.body.a} b', '$request.body.a/b'],
    good: ['${request.body.a}/${request.body.b}'],
  },
  HANDLER_AWS_ROUTE_RESPONSE: { bad: ['yes', '1'], good: ['off'] },
  GRIP_ISS: { bad: ['a\tb', 'é'], good: ['fastly:1', 'my issuer'] },
  GRIP_KEY: { bad: ['a key', 'é', 'base64:', 'base64:abc', 'base64:a c='], good: ['secret', 'base64:a2V5'] },
  HANDLER_TIMEOUT: { bad: ['0', '30sec'], good: ['1500ms', '24h'] },
  HANDLER_WAIT: { bad: ['-1', 'off'], good: ['0', '24h'] },
  MAX_ANSWER_BYTES: { bad: ['0', '1023', '2g'], good: ['1k', '16m', '1g'] },
  HANDLER_CONCURRENCY: { bad: ['0', '4097'], good: ['1', '4096'] },
  STREAM_TIMEOUT: { bad: ['0', '25h'], good: ['100ms', '24h'] },
  STREAM_CONCURRENCY: { bad: ['0', '4097'], good: ['1', '4096'] },
  OUTBOX_BYTES: { bad: ['1023', '2g', '0'], good: ['1k', '1g'] },
  SITE_DRAIN: { bad: ['0', '25h'], good: ['1s', '10m', '24h'] },
  STOP_SECONDS: { bad: ['-1', '2h'], good: ['0', '20s', '1h'] },
  DRAIN_SECONDS: { bad: ['-1', 'slowly'], good: ['30', 'off', '24h'] },
  MAX_TOPICS: { bad: ['0', '10001', 'many'], good: ['5', '10000'] },
  HISTORY: {
    bad: ['chat', 'chat=10', 'chat=0/10m', 'chat=10/0', 'chat=100001/1m', 'chat=10/721h', 'a=1/1m a=2/2m'],
    good: ['chat:=100/10m news=1000/24h', '=1/720h', 'a=b=100000/1s'],
  },
  SESSION_SECONDS: { bad: ['-1', '25h'], good: ['2m', 'off'] },
  SESSION_BYTES: { bad: ['1023', '2g'], good: ['1k', '1g'] },
  MAX_DETACHED: { bad: ['-1', '1000001'], good: ['0', '1000000'] },
  DETACHED_BYTES: { bad: ['1023', '65g'], good: ['1k', '64g'] },
  CACHE_BYTES: { bad: ['1023k', '2g', 'off'], good: ['1m', '1g'] },
  HISTORY_BYTES: { bad: ['1023k', '65g', 'much'], good: ['1m', '64g'] },
  MESSAGE_RATE: { bad: ['fast', '-1', '0.001', '0'], good: ['1', '0.5', 'off'] },
  CONTROL_PORT: { bad: ['65536', 'http', 'localhost:1', '127.0.0.1'], good: ['10099', '127.0.0.1:10099'] },
  CONTROL_TOKEN: { bad: ['short', 'with spaces in between it'], good: ['0123456789abcdef'] },
  CONTROL_AWS_KEY_ID: { bad: ['a/b', ',', 'a'.repeat(129)], good: ['AKIDEXAMPLE'] },
  CONTROL_AWS_SECRET: { bad: ['short', ','], good: ['wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'] },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    bad: [
      'collector:4318',
      'grpc://collector:4317',
      'http://a:0',
      'http://user:pass@a',
      'http://a/b?c',
      'https://[::1]',
    ],
    good: ['http://localhost:4318', 'http://[::1]:4318/', 'http://example.com/otlp/v1.2~a%20b/'],
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    bad: ['api-key', 'a b=c', '=x', ',', 'a=%0A', 'Host=a', 'content-type=a'],
    good: ['api-key=secret', 'Authorization=Basic%20YQ==, x-tenant = a b'],
  },
  OTEL_EXPORTER_OTLP_CERTIFICATE: { bad: ['ca.pem', '/a b.pem', '/nowhere/ca.pem'], good: [] },
  OTEL_SERVICE_NAME: { bad: ['x'.repeat(256), 'a\tb'], good: ['chat', 'die "Küche"/1'] },
  OTEL_TRACES_SAMPLER_ARG: { bad: ['1.1', '-1', 'some', '1%', '.'], good: ['0.01', '0', '.5', '1', '1.0'] },
  REDIS_URL: {
    bad: ['redis:6379', 'http://redis', 'redis://h:0', 'redis://h/x', 'unix:redis.sock', 'redis://:secret@'],
    good: ['redis://user:p%40ss@localhost:6380/2', 'redis://[::1]', 'unix:/run/redis.sock?db=1'],
  },
  REDIS_CA: { bad: ['ca.pem', '/a b.pem', '/nowhere/ca.pem'], good: [] },
  REDIS_SENTINELS: { bad: ['redis://a:1', 'a:0', ','], good: ['a:1,b', '[::1]:26380'] },
  REDIS_MASTER: { bad: ['my master', 'a;b'], good: ['mymaster'] },
  CLUSTER_NAME: { bad: ['a b', 'a:b', 'a'.repeat(65)], good: ['other', 'a.b-c_1'] },
  NODE_NAME: { bad: ['a b', 'a/b'], good: ['node-1'] },
  CLUSTER_WAIT: { bad: ['-1', '61s', 'off'], good: ['0', '500ms', '60s'] },
  CLUSTER_BUFFER: { bad: ['2g', '1.5m', 'off'], good: ['0', '64k', '1g'] },
  HANDSHAKE_HEADERS: {
    bad: [
      'a:b',
      ',',
      'host',
      'Ce_Type',
      'ws-user',
      'webhook-id',
      'framegate-signature',
      'x-forwarded-for',
      'content-length',
      'sec-websocket-key',
      'proxy',
    ],
    good: ['x-api-key, X-Tenant', 'off', 'cookie'],
  },
  RECORD_HEADERS: { bad: ['a:b', '"', ','], good: ['off', 'cookie, X-Tenant'] },
  TIMERS: {
    bad: ['10s', '/live/a', '500ms /live/a', '25h /live/a', '10s /ws/a', '1s /live/a?b', '1s /live/a, 2s /live/a', ','],
    good: ['10s /live/timers/tick', '1s /live/a, 24h /live/b'],
  },
  SOCKET_LOG: { bad: ['on', 'sockets.log', '/var/log/'], good: ['stdout', 'stderr', '/tmp/sockets.log'] },
}

/** What a variable needs beside it. */
const BESIDE: Record<string, Record<string, string>> = {
  CONTROL_PORT: { CONTROL_TOKEN: '0123456789abcdef' },
  CONTROL_TOKEN: { CONTROL_PORT: '10099' },
  CONTROL_AWS_KEY_ID: {
    CONTROL_AWS_SECRET: '0123456789abcdef',
    CONTROL_PORT: '10099',
    CONTROL_TOKEN: '0123456789abcdef',
  },
  CONTROL_AWS_SECRET: {
    CONTROL_AWS_KEY_ID: 'AKIDEXAMPLE',
    CONTROL_PORT: '10099',
    CONTROL_TOKEN: '0123456789abcdef',
  },
  OTEL_EXPORTER_OTLP_CERTIFICATE: { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://localhost' },
  REDIS_CA: { REDIS_URL: 'rediss://localhost' },
  REDIS_SENTINELS: { REDIS_MASTER: 'mymaster' },
  REDIS_MASTER: { REDIS_SENTINELS: 'localhost' },
  TIMERS: { SOCKET_PATH: '/live/' },
  TLS_CERTIFICATE: { TLS_CERTIFICATE_KEY: '/key.pem' },
  TLS_CERTIFICATE_KEY: { TLS_CERTIFICATE: '/certificate.pem' },
}

const HANDLER: Record<string, string[]> = {
  HANDLER_LISTEN: ['3000', 'unix:relative.sock', 'a:b'],
  HANDLER_LOG_LEVEL: ['loud', 'WARN'],
  MAX_MESSAGE_BYTES: ['0', '-1', 'huge'],
  HANDLER_SECRET: ['secret', 'whsec_QUJD', `${SECRET},whsec_`],
}

/** Not shown in a message. */
const SECRETS = ['HANDLER_SECRET']

type Row = { name: string; value: string; words: string }

/** The table of docs/operating.md; the value is empty where it says "none". */
function documented(): Row[] {
  const lines = readFileSync(join(project, 'docs/operating.md'), 'utf8').split('\n')
  const first = lines.indexOf('| variable | default | what it does |')
  assert.ok(first > 0, 'docs/operating.md has the table')
  const rows = lines.slice(
    first + 2,
    lines.findIndex((line, i) => i > first && !line.startsWith('|')),
  )
  return rows.map((line) => {
    const [, name, value, words] = /^\| `([A-Z_]+)` \| (?:none|`([^`|]+)`) \| ([^|]+) \|$/.exec(line) ?? []
    assert.ok(name && words, `a row of the table: ${line}`)
    return { name, value: value ?? '', words }
  })
}

const LIST_SETTINGS = `
  package.path = "lua/?.lua;" .. package.path
  local Variables = require "framegate.configure.variables"
  local cjson = require "cjson"
  local names = {}
  for i, variable in ipairs(Variables.list) do names[i] = variable[1] end
  local settings, problems = Variables.read(os.getenv, "/run/framegate")
  print(cjson.encode { names = names, settings = settings, problems = problems })`

/** What the gateway makes of these variables, without writing anything. */
function readGateway(env: Record<string, string>): {
  names: string[]
  settings?: Record<string, unknown>
  problems?: string[]
} {
  const { stdout, stderr } = spawnSync('lua5.1', ['-e', LIST_SETTINGS], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  })
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

const gatewayNames = readGateway({}).names

/** Names that the TypeScript of handler and command takes from the environment. */
function readInTypeScript(): string[] {
  const files = globSync(['plugin/**/*.ts', 'handler/**/*.ts', 'cli/**/*.ts'], { cwd: project })
  const names = files.flatMap((file) =>
    [...read(file).matchAll(/\benv(?:ironment)?\.([A-Z][A-Z_]+)/g)].map((match) => match[1]!),
  )
  return [...new Set(names)].filter((name) => name !== 'PATH')
}

function read(file: string): string {
  return readFileSync(join(project, file), 'utf8')
}

function runDirectory(t: TestContext): string {
  const run = mkdtempSync(join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(run, { recursive: true, force: true }))
  return run
}

function configure(run: string, env: Record<string, string>): SpawnSyncReturns<string> {
  return spawnSync('lua5.1', [join(project, 'lua/configure.lua'), project, run], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  })
}

/** Free ports, and files of TLS that nginx can use. */
async function listenSomewhere(t: TestContext): Promise<Record<string, string>> {
  const [PORT, first, second, TLS_PORT] = (await Promise.all([1, 2, 3, 4].map(freePort))).map(String) as [
    string,
    string,
    string,
    string,
  ]
  const { certificate, key } = certificates(t).make('site')
  return { PORT, PORTS: `${first},${second}`, TLS_PORT, TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key }
}

function checkNginx(run: string): void {
  const { NGINX } = JSON.parse(readFileSync(`${run}/settings.json`, 'utf8'))
  const { command, args, env } = nginxOf(run, 'nginx.conf', { NGINX })
  const { status, stderr } = spawnSync(command, ['-t', ...args], { encoding: 'utf8', env })
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /\[(emerg|alert|crit|error)\]/)
}

test('docs/operating.md names every variable that is read, and no other', () => {
  const expected = new Set([...gatewayNames, ...readInTypeScript()])
  assert.ok(expected.has('RUN_DIR') && expected.has('HANDLER_LISTEN'))
  const names = documented().map(({ name }) => name)
  assert.deepEqual(names.toSorted(), [...expected].sort())
})

test('the defaults of docs/operating.md are those of the code', () => {
  const defaults = Object.fromEntries(
    documented().map(({ name, value }) => [name, value.replace('RUN_DIR', '/run/framegate')]),
  )
  for (const name of gatewayNames) {
    const { settings, problems } = readGateway({ [name]: defaults[name]! })
    assert.deepEqual(problems, undefined)
    assert.deepEqual(settings, readGateway({}).settings, name)
    const isNone = ['{}', '[]', '""'].includes(JSON.stringify(settings![name]))
    assert.equal(defaults[name] === '', isNone, `${name} has "none" as its default when it is empty`)
  }
  assert.deepEqual(readConfig(defaults), readConfig({}))
  assert.match(read('cli/environment.ts'), new RegExp(`env\\.RUN_DIR \\|\\| \`\\$\\{project\\}/${defaults.RUN_DIR}\``))
})

test('this file tries every variable', () => {
  assert.deepEqual(Object.keys(GATEWAY).sort(), gatewayNames.toSorted())
  const inHandler = [...read('handler/config.ts').matchAll(/\benv\.([A-Z_]+)/g)].map((match) => match[1])
  assert.deepEqual(Object.keys(HANDLER).sort(), inHandler.sort())
})

for (const [name, { bad }] of Object.entries(GATEWAY)) {
  test(`the gateway refuses a wrong ${name} by name`, (t) => {
    const run = runDirectory(t)
    for (const value of bad) {
      const { status, stdout, stderr } = configure(run, { ...BESIDE[name], [name]: value })
      assert.equal(status, 1, `${name}=${value} is refused`)
      assert.equal(stdout, '')
      const lines = stderr.split('\n').filter(Boolean)
      assert.equal(lines.length, 1, stderr)
      assert.match(lines[0]!, new RegExp(`^framegate: ${name}=.*: expected \\S.+`))
      assert.doesNotMatch(stderr, /traceback|\.lua:\d+|\bnil\b/)
    }
  })
}

for (const [name, values] of Object.entries(HANDLER)) {
  test(`the handler refuses a wrong ${name} by name`, () => {
    for (const value of values) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(project, 'handler/server.ts')], {
        encoding: 'utf8',
        timeout: 20_000,
        env: { PATH: process.env.PATH, [name]: value },
      })
      assert.equal(status, 1, `${name}=${value} is refused: ${stdout}${stderr}`)
      const shown = SECRETS.includes(name) ? '…' : value
      assert.match(stderr, new RegExp(`^handler: ${name}=${shown}: expected \\S.+\\n$`))
    }
  })
}

test('a run directory that nginx cannot use is refused in one line', (t) => {
  const run = runDirectory(t)
  const long = configure(`${run}/${'a'.repeat(100)}`, {})
  assert.equal(long.status, 1)
  assert.match(long.stderr, /^framegate: .*RUN_DIR\n$/)
  for (const name of ['with space', 'a;b', 'a{b', 'a$b', "a'b", 'a"b']) {
    const { status, stderr } = configure(`${run}/${name}`, {})
    assert.equal(status, 1, name)
    assert.match(stderr, /^framegate: nginx cannot take a path with .*\n$/)
  }
})

test('wrong values are all told, a line each', (t) => {
  const bad = Object.fromEntries(Object.entries(GATEWAY).map(([name, { bad }]) => [name, bad[0]!]))
  const { status, stderr } = configure(runDirectory(t), bad)
  assert.equal(status, 1)
  const names = stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => /^framegate: ([A-Z_]+)=/.exec(line)?.[1])
  assert.deepEqual(names, gatewayNames)
})

test('every variable is used', () => {
  const files = globSync('lua/framegate/**/*.lua', { cwd: project }).filter((file) => !file.endsWith('/variables.lua'))
  const code = files.map(read).join('\n')
  for (const name of gatewayNames) assert.match(code, new RegExp(`\\b(?:Config|settings)\\.${name}\\b`), name)
  const handler = globSync('handler/**/*.ts', { cwd: project })
    .filter((file) => !file.endsWith('/config.ts'))
    .map(read)
    .join('\n')
  for (const field of Object.keys(readConfig({})))
    assert.match(handler, new RegExp(`\\bconfig\\.${field}\\b|\\b${field}\\b.*config`), field)
})

test('every variable with a value of its own at once: nginx takes it', async (t) => {
  const run = runDirectory(t)
  const env = Object.fromEntries(Object.entries(GATEWAY).map(([name, { good }]) => [name, good[0] ?? '']))
  Object.assign(env, await listenSomewhere(t))
  env.CONTROL_SOCKET = `${run}/control/other.sock`
  env.REDIS_URL = 'rediss://localhost'
  env.REDIS_CA = env.TLS_CERTIFICATE!
  env.OTEL_EXPORTER_OTLP_CERTIFICATE = env.TLS_CERTIFICATE!
  const { status, stderr } = configure(run, env)
  assert.equal(status, 0, stderr)
  const settings = JSON.parse(readFileSync(`${run}/settings.json`, 'utf8'))
  const defaults = readGateway({}).settings!
  for (const name of gatewayNames) assert.notDeepEqual(settings[name], defaults[name], name)
  checkNginx(run)
})

test('the defaults, and each good value by itself: nginx takes it', async (t) => {
  const somewhere = await listenSomewhere(t)
  const run = runDirectory(t)
  for (const [name, value] of [
    ['WORKERS', ''],
    ...Object.entries(GATEWAY).flatMap(([name, { good }]) => good.map((value) => [name, value])),
  ]) {
    const { status, stderr } = configure(run, { ...somewhere, PORTS: '', ...BESIDE[name!], [name!]: value! })
    assert.equal(status, 0, `${name}=${value}: ${stderr}`)
    checkNginx(run)
  }
})

test('gateway and handler read MAX_MESSAGE_BYTES alike: Docker Compose hands the same value to both', () => {
  for (const value of ['65536', '64k', '2M', '1g']) {
    const { settings } = readGateway({ MAX_MESSAGE_BYTES: value })
    assert.equal(readConfig({ MAX_MESSAGE_BYTES: value }).maxMessageBytes, settings!.MAX_MESSAGE_BYTES, value)
  }
})
