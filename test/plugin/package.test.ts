import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'

const ROOT = path.resolve(import.meta.dirname, '../..')
const TSC = path.join(ROOT, 'node_modules/.bin/tsc')

const APP = `
import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import websocket, { Close, EffectHeader, type SocketEvent } from 'framegate'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websocket, { batch: false })
app.ws('/ws/chat/:room', {
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
const headers = { 'ce-type': 'framegate.message' }
const message = await app.inject({ method: 'POST', url: '/ws/chat/lobby', headers, payload: { text: 'hi' } })
const open = await app.inject({ method: 'POST', url: '/ws/chat/lobby', headers: { 'ce-type': 'framegate.open' } })
console.log(message.body, open.headers[EffectHeader.close])
`

const PROJECT = {
  'package.json': JSON.stringify({ name: 'project', private: true, type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: { target: 'es2024', module: 'nodenext', strict: true, types: ['node'], noEmit: true },
    include: ['app.ts'],
  }),
  'app.ts': APP,
}

function versionOf(name: string): string {
  return `${name}@${JSON.parse(readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version}`
}

test('the package installs into an empty folder, type-checks there and runs', { timeout: 300_000 }, (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'framegate-package-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const run = (command: string, args: string[], cwd = folder): string =>
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  run('npm', ['pack', '--pack-destination', folder], ROOT)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  for (const [name, content] of Object.entries(PROJECT)) writeFileSync(path.join(folder, name), content)
  const packages = ['fastify', '@fastify/type-provider-typebox', 'typebox', 'ajv-formats', '@types/node'].map(versionOf)
  run('npm', ['install', `./${tarball}`, ...packages, '--prefer-offline', '--no-audit', '--no-fund'])
  run(TSC, ['-p', folder])
  assert.equal(run(process.execPath, ['app.ts']), '{"id":2} 4401 sign%20in\n')
})
