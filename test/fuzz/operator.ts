/** Whoever operates the gateway meanwhile: pushes, questions and mistakes on the control API, and reloads. */
import { connect } from 'node:net'
import type { Gateway } from '../support/gateway.ts'
import { MARK, TOPICS } from './answers.ts'
import { Finding } from './clients.ts'
import { pause, type Random } from './random.ts'

/** Those of docs/protocol.md. */
const STATUSES = [200, 204, 400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 503, 504]

type Request = { method: string; path: string; body?: string | Buffer; headers?: string }

function socketOf(gateway: Gateway): string {
  return `${gateway.run}/control/control.sock`
}

/** Sends a request as raw bytes. Resolves with status and body when the server has ended the connection. */
function ask(
  gateway: Gateway,
  { method, path, body = '', headers = '' }: Request,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketOf(gateway))
    let text = ''
    socket.setTimeout(20_000, () => socket.destroy(new Finding(`${method} ${path.slice(0, 80)} got no answer in 20 s`)))
    socket.on('data', (data) => {
      text += data
    })
    let failure = new Error('no answer')
    socket.on('error', (error) => (failure = error)) // the server may answer, and close, before it has read everything
    socket.on('close', () => {
      const end = text.indexOf('\r\n\r\n')
      if (end >= 0) resolve({ status: Number(text.split(' ')[1]), body: text.slice(end + 4) })
      else reject(new Finding(`${method} ${path.slice(0, 80)}: ${failure.message}`))
    })
    const length = headers.includes('content-length') ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`
    const head = `${method} ${path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n${headers}${length}\r\n`
    socket.write(Buffer.concat([Buffer.from(head), Buffer.from(body as string)]))
  })
}

async function someIds(gateway: Gateway): Promise<string[]> {
  const { status, body } = await ask(gateway, {
    method: 'GET',
    path: '/connections?limit=1000',
    headers: 'accept: application/json\r\n',
  })
  if (status !== 200) return []
  const page = JSON.parse(chunksRemoved(body))
  return page.connections.flatMap(({ id, path }: { id: string; path: string }) =>
    path.startsWith('/ws/fuzz/') ? [id] : [],
  )
}

function chunksRemoved(body: string): string {
  return /^[0-9a-f]+\r\n/.test(body) ? body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '') : body
}

function push(random: Random): Request {
  const topic = encodeURIComponent(random.pick(TOPICS))
  const path = random.pick([`/topics/${topic}`, '/users/ada', '/broadcast', `/topics/${topic}?except=x`])
  const headers = random.chance(0.2) ? `idempotency-key: ${random.int(1, 20)}\r\n` : ''
  return { method: 'POST', path, body: MARK + random.text(random.size(3000)), headers }
}

function batch(random: Random): Request {
  const elements = Array.from({ length: random.int(0, 30) }, () =>
    random.chance(0.2)
      ? random.pick<unknown>([
          null,
          {},
          { method: 'GET', path: '/topics' },
          { path: 7 },
          { method: 'POST', path: '/x' },
        ])
      : { method: 'POST', path: push(random).path, text: MARK },
  )
  return {
    method: 'POST',
    path: '/batch',
    body: JSON.stringify(elements),
    headers: 'content-type: application/json\r\n',
  }
}

function mistake(random: Random): Request {
  return random.pick<Request>([
    { method: 'POST', path: '/topics/%ff', body: 'x' },
    { method: 'POST', path: `/topics/${'x'.repeat(300)}`, body: 'x' },
    { method: 'POST', path: '/broadcast', body: Buffer.of(0xff) },
    { method: 'POST', path: '/broadcast', body: 'x'.repeat(70_000) },
    { method: 'POST', path: '/batch', body: '{' },
    { method: 'PATCH', path: '/connections' },
    { method: 'GET', path: '/connections?limit=0&limit=1' },
    { method: 'GET', path: `/connections?cursor=${'x'.repeat(5000)}` },
    { method: 'DELETE', path: '/connections/nobody?code=1005' },
    { method: 'PUT', path: '/topics/t0/connections/nobody' },
    { method: 'GET', path: '/nothing/%00' },
  ])
}

async function toOne(gateway: Gateway, random: Random): Promise<Request> {
  const id = random.pick([...(await someIds(gateway)), 'nobody'])
  return random.pick<Request>([
    { method: 'POST', path: `/connections/${id}`, body: MARK + random.text(random.size(3000)) },
    { method: 'DELETE', path: `/connections/${id}?code=${random.pick([1000, 4000])}&reason=because` },
    { method: 'PUT', path: `/topics/t1/connections/${id}` },
    { method: 'DELETE', path: `/topics/t0/connections/${id}` },
    { method: 'GET', path: `/connections/${id}` },
  ])
}

const QUESTIONS = ['/status', '/metrics', '/topics', '/topics/t0', '/connections', '/healthz', '/openapi.json']

/** A request that is cut off, or never ends. */
async function halfRequest(gateway: Gateway, random: Random): Promise<void> {
  const socket = connect(socketOf(gateway))
  socket.on('error', () => {})
  socket.write(
    random.pick(['GET /stat', 'POST /broadcast HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npush:', '\0\0']),
  )
  await pause(random.int(0, 300))
  socket.destroy()
}

async function step(gateway: Gateway, random: Random): Promise<void> {
  if (random.chance(0.05)) return halfRequest(gateway, random)
  const request = await random.pick<() => Request | Promise<Request>>([
    () => push(random),
    () => push(random),
    () => batch(random),
    () => toOne(gateway, random),
    () => mistake(random),
    () => ({ method: 'GET', path: random.pick(QUESTIONS) }),
  ])()
  const { status, body } = await ask(gateway, request)
  if (!STATUSES.includes(status)) {
    throw new Finding(`${request.method} ${request.path.slice(0, 80)} was answered ${status} ${body.slice(0, 200)}`)
  }
}

/** Asks and pushes until `isOver`. Returns what it found. */
export async function operate(gateway: Gateway, random: Random, isOver: () => boolean): Promise<string[]> {
  const findings: string[] = []
  while (!isOver()) {
    await step(gateway, random).catch((error: Error) => findings.push(`operator: ${error.message}`))
    await pause(random.int(0, 100))
  }
  return findings
}

/** Reloads every few seconds until `isOver`. Returns what it found. */
export async function reloadNowAndThen(gateway: Gateway, random: Random, isOver: () => boolean): Promise<string[]> {
  const findings: string[] = []
  let next = Date.now() + random.int(1000, 5000)
  while (!isOver()) {
    if (Date.now() >= next) {
      await gateway.reload().catch((error: Error) => findings.push(`reload: ${error.message}`))
      next = Date.now() + random.int(2000, 6000)
    }
    await pause(50)
  }
  return findings
}
