// docs/recipes/jwt.md works as it stands there.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { Client, type open } from '../../support/client.ts'
import { code } from './recipe.ts'
import { projectWithRoute, startProject } from './routes.ts'

type Options = Parameters<typeof open>[1]

/** The next message, for a race with the end of the socket. */
async function nextText({ socket }: Client): Promise<string> {
  return String((await once(socket, 'message'))[0])
}

test('a JWT in a cookie, in the query or in a header opens a socket until it expires', async (t) => {
  const [, secret] = /JWT_SECRET=(\S+)/.exec(code('jwt', 'sh'))!
  const copy = projectWithRoute(t, 'account', code('jwt', 'ts'))
  const { ws } = await startProject(t, copy, { JWT_SECRET: secret! })
  const app = Fastify()
  await app.register(jwt, { secret: secret! })
  const sign = (claims: object, key = secret!): string => app.jwt.sign(claims, { key })
  const page = (fits: RegExp, token: string): string => {
    const [, path] = /`wss:\/\/\$\{location\.host\}(.*)`/.exec(code('jwt', 'js', fits))!
    return ws + path!.replace('${token}', token)
  }
  const said = async (url: string, options?: Options): Promise<unknown> => {
    const client = new Client(url, options)
    client.socket.once('open', () => client.socket.send('hi'))
    const answer = await Promise.race([nextText(client), client.closed])
    client.socket.terminate()
    return answer
  }

  const soon = Math.floor(Date.now() / 1000) + 60
  const good = sign({ sub: 'ada', exp: soon })
  const [plain, query] = [page(/account`/, ''), page(/token/, good)]
  assert.equal(await said(plain, { headers: { cookie: `token=${good}` } }), 'ada said hi')
  assert.equal(await said(query), 'ada said hi')
  assert.equal(await said(plain, { headers: { authorization: `Bearer ${good}` } }), 'ada said hi')

  const refused = { code: 4401, reason: 'sign in first' }
  assert.deepEqual(await said(plain), refused)
  assert.deepEqual(await said(page(/token/, sign({ sub: 'ada', exp: soon }, 'another-long-secret'))), refused)
  assert.deepEqual(await said(page(/token/, sign({ sub: 'ada', exp: soon - 120 }))), refused)
  assert.deepEqual(await said(page(/token/, sign({ sub: 'ada' }))), refused)
  const other = new Client(plain, { headers: { cookie: `token=${good}` }, origin: 'https://other.example' })
  await assert.rejects(other.opened, /403/)

  // Long enough for a slow machine to ask before it has expired.
  const brief = new Client(page(/token/, sign({ sub: 'ada', exp: Math.floor(Date.now() / 1000) + 5 })))
  await brief.opened
  brief.socket.send('hi')
  assert.equal(await nextText(brief), 'ada said hi')
  assert.deepEqual(await brief.closed, { code: 4401, reason: 'the token has expired' })
})
