// The npm package as others get it: packed, installed from the registry, compiled and run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'

const ROOT = path.resolve(import.meta.dirname, '../..')
const TSC = path.join(ROOT, 'node_modules/.bin/tsc')

const APP = `
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import websocket, { Close, EffectHeader, MediaType, type SocketEvent } from 'framegate'
import type { Client } from 'framegate/client/typed'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websocket, { batch: true })
const sockets = app.ws('/ws/chat/:room', {
  schema: {
    params: Type.Object({ room: Type.String() }),
    message: Type.Object({ text: Type.String({ minLength: 1 }) }),
    reply: Type.Object({ id: Type.Integer() }),
  },
  async open(request, reply) {
    if (!request.headers.authorization) throw new Close(4401, 'sign in')
    reply.subscribe(\`room:\${request.params.room}\`)
  },
  async message(request) {
    const event: SocketEvent = request.event
    // @ts-expect-error no such field
    request.body.nothing
    return { id: request.body.text.length + event.number }
  },
})
export function talk(client: Client<typeof sockets>): void {
  const socket = client.open('/ws/chat/:room', { params: { room: 'lobby' } })
  socket.onframe = (frame) => console.log('id' in frame ? frame.id.toFixed() : frame.statusCode)
  socket.send({ text: 'hi' })
  // @ts-expect-error no such field
  socket.send({ txt: 'hi' })
}
const headers = { 'ce-type': 'framegate.message' }
const message = await app.inject({ method: 'POST', url: '/ws/chat/lobby', headers, payload: { text: 'hi' } })
const open = await app.inject({ method: 'POST', url: '/ws/chat/lobby', headers: { 'ce-type': 'framegate.open' } })
await app.listen({ host: 'localhost', port: 0 })
const events = [{ path: '/ws/chat/lobby', headers: { ...headers, 'ce-id': 'a/1', 'ce-eventnumber': '5' }, body: '{"text":"hi"}' }]
const answers = []
for (const { address, family, port } of app.addresses() as AddressInfo[]) {
  const host = family === 'IPv6' ? \`[\${address}]\` : address
  const init = { method: 'POST', headers: { 'content-type': MediaType.batch }, body: JSON.stringify(events) }
  const line = JSON.parse(await (await fetch(\`http://\${host}:\${port}/\`, init)).text())
  answers.push(line.body)
}
await app.close()
console.log(message.body, open.headers[EffectHeader.close], new Set(answers))
`

const CLIENT = `
import { ReconnectingSocket, worthRetrying } from 'framegate/client'

const socket = new ReconnectingSocket(async () => 'ws://host/', ['chat'], { keep: 1024, retry: worthRetrying })
socket.addEventListener('state', ({ detail }) => console.log(detail.state))
socket.onmessage = ({ data }) => console.log(data)
// @ts-expect-error no such event
socket.onreconnect = () => {}
socket.close()
console.log(ReconnectingSocket.CLOSED, socket.readyState === ReconnectingSocket.CLOSING)
`

/** Without Fastify: in Node, and as a Web handler. */
const EVENTS = `
import { createServer } from 'node:http'
import {
  Close, type EventHandler, Gateway, type GatewayEvent, NotAnEventError, Reply, readEvent, toNodeHandler, toWebHandler,
} from 'framegate/events'

const handler: EventHandler = (event, reply) => {
  if (event.type === 'open') reply.subscribe('news').user = 'Ada'
  if (event.type === 'close') throw new Close(1000, String(event.closeCode))
  return event.type === 'message' ? event.frame.toString().toUpperCase() : undefined
}
const POST: (request: Request) => Promise<Response> = toWebHandler(handler)
const server = createServer(toNodeHandler(handler)).listen(0, '127.0.0.1', async () => {
  const { port } = server.address() as { port: number }
  const ask = (type: string, body?: string): RequestInit => ({ method: 'POST', headers: { 'ce-type': type }, ...(body && { body }) })
  const message = await fetch(\`http://127.0.0.1:\${port}\`, ask('framegate.message', 'hi'))
  const open = await POST(new Request('http://handler/', ask('framegate.open')))
  const error = await readEvent(new Request('http://handler/')).catch((fault: unknown) => fault)
  const event: GatewayEvent = await readEvent(new Request('http://handler/', ask('framegate.alarm')))
  // @ts-expect-error an alarm has no frame
  event.frame
  const { body } = new Reply(event).frame('one').answer({ two: 2 })
  console.log(await message.text(), open.headers.get('ws-subscribe'), error instanceof NotAnEventError, body, new Gateway().end())
  server.close()
})
`

const compilerOptions = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true }

const PROJECT = {
  'package.json': JSON.stringify({ name: 'project', private: true, type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: { ...compilerOptions, types: ['node'] },
    include: ['app.ts'],
  }),
  'app.ts': APP,
}

/** Of somebody who uses the client alone: in Node, without the DOM's types, and in a browser, without those of Node. */
const CLIENT_PROJECT = {
  'package.json': PROJECT['package.json'],
  'node.json': JSON.stringify({
    compilerOptions: { ...compilerOptions, lib: ['es2024'], types: ['node'] },
    include: ['client.ts'],
  }),
  'browser.json': JSON.stringify({
    compilerOptions: { ...compilerOptions, lib: ['es2024', 'dom'], types: [], module: 'preserve' },
    include: ['client.ts'],
  }),
  'client.ts': CLIENT,
}

/** Of somebody who answers events without Fastify. */
const EVENTS_PROJECT = {
  'package.json': PROJECT['package.json'],
  'node.json': JSON.stringify({
    compilerOptions: { ...compilerOptions, types: ['node'] },
    include: ['events.ts'],
  }),
  'bundler.json': JSON.stringify({
    compilerOptions: { ...compilerOptions, lib: ['es2024', 'dom'], types: ['node'], module: 'preserve' },
    include: ['events.ts'],
  }),
  'events.ts': EVENTS,
}

function versionOf(name: string): string {
  return `${name}@${JSON.parse(readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version}`
}

async function run(command: string, args: string[], cwd: string): Promise<string> {
  return (await promisify(execFile)(command, args, { cwd })).stdout
}

suite('the package', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-package-'))
  let tarball = ''

  before(async () => {
    await run('npm', ['pack', '--workspace', 'framegate', '--pack-destination', folder], ROOT)
    tarball = path.join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!)
  })
  after(() => rmSync(folder, { recursive: true }))

  test('holds what was compiled, its types and its licence, and depends on fastify-plugin alone', async () => {
    const files = (await run('tar', ['-tf', tarball], folder)).trim().split('\n')
    assert.ok(files.includes('package/dist/client/reconnecting-socket.d.ts'))
    assert.deepEqual(files.filter((file) => !/^package\/dist\/.*\.(js|d\.ts)$/.test(file)).sort(), [
      'package/LICENSE',
      'package/README.md',
      'package/package.json',
    ])
    const { dependencies } = JSON.parse(await run('tar', ['-xOf', tarball, 'package/package.json'], folder))
    assert.deepEqual(Object.keys(dependencies), ['fastify-plugin'])
  })

  test('has types and code that every resolution of modules finds, and the form that npm publishes', async () => {
    const tool = (name: string): string => path.join(ROOT, 'node_modules/.bin', name)
    await run(tool('attw'), ['--profile', 'esm-only', '--quiet', tarball], folder)
    await run(tool('publint'), ['--strict', tarball], folder)
    const { publishConfig } = JSON.parse(await run('tar', ['-xOf', tarball, 'package/package.json'], folder))
    assert.deepEqual(publishConfig, { access: 'public', provenance: true })
    const offline = ['--registry=http://127.0.0.1:1', '--fetch-retries=0'] // a registry that cannot be reached
    assert.match(await run('npm', ['publish', '--dry-run', ...offline, tarball], folder), /^\+ framegate@\d/m)
  })

  /** Installs the package with the types of Node, and nothing else, into a project of these files. */
  async function installAlone(name: string, files: Record<string, string>): Promise<string> {
    const project = path.join(folder, name)
    mkdirSync(project)
    for (const [file, content] of Object.entries(files)) writeFileSync(path.join(project, file), content)
    const options = ['--no-audit', '--no-fund', '--prefer-offline']
    await run('npm', ['install', tarball, versionOf('@types/node'), ...options], project)
    const installed = readdirSync(path.join(project, 'node_modules')).filter((entry) => !entry.startsWith('.'))
    assert.deepEqual(installed.sort(), ['@types', 'fastify-plugin', 'framegate', 'undici-types'])
    return project
  }

  test('gives the client alone, without Fastify, with types in Node and in a browser', async () => {
    const project = await installAlone('client', CLIENT_PROJECT)
    for (const config of ['node.json', 'browser.json']) await run(TSC, ['-p', path.join(project, config)], project)
    assert.equal(await run(process.execPath, ['client.ts'], project), 'closing\n3 true\nclosed\n')
  })

  test('gives events without Fastify, with types in Node and for a bundler', async () => {
    const project = await installAlone('events', EVENTS_PROJECT)
    for (const config of ['node.json', 'bundler.json']) await run(TSC, ['-p', path.join(project, config)], project)
    const document = '{"effects":[{"send":{"text":"one"}},{"send":{"text":"{\\"two\\":2}"}}]}'
    assert.equal(await run(process.execPath, ['events.ts'], project), `HI news true ${document} undefined\n`)
  })

  for (const fastify of ['fastify@5.0.0', 'fastify@5']) {
    test(`installs into an empty folder beside ${fastify}, type-checks there and runs`, async () => {
      const project = path.join(folder, fastify)
      mkdirSync(project)
      for (const [name, content] of Object.entries(PROJECT)) writeFileSync(path.join(project, name), content)
      const others = ['@fastify/type-provider-typebox', 'typebox', 'ajv-formats', '@types/node'].map(versionOf)
      const quick = ['--no-audit', '--no-fund', ...(fastify.endsWith('.0') ? ['--prefer-offline'] : [])]
      await run('npm', ['install', tarball, fastify, ...others, ...quick], project)
      await run(TSC, ['-p', project], project)
      assert.equal(await run(process.execPath, ['app.ts'], project), `{"id":2} 4401 sign%20in Set(1) { '{"id":7}' }\n`)
    })
  }
})
