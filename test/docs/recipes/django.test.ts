// docs/recipes/django.md works as it stands there, in a project that django-admin makes.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../../cli/framegate.ts'
import { Client, open } from '../../support/client.ts'
import { freePort } from '../../support/free-port.ts'
import { behindGateway, code, PYTHON } from './recipe.ts'

/** Makes a user and prints the key of a session in which she is logged in. */
const LOG_IN = `
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_user('ada'))
print(client.session.session_key)
`

test('a Django view answers events, knows its users and pushes', async (t) => {
  const project = folder(t)
  const python = (...args: string[]): string =>
    execFileSync(PYTHON, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  python('-m', 'django', 'startproject', 'mysite', '.')
  writeFileSync(join(project, 'mysite/sockets.py'), code('django', 'python', /def chat/))
  appendFileSync(join(project, 'mysite/urls.py'), code('django', 'python', /urlpatterns/))
  const [migrate, serve] = code('django', 'sh', /manage/)
    .trim()
    .split('\n')
  python(...migrate!.split(' ').slice(1))
  const session = python('manage.py', 'shell', '-c', LOG_IN)
  const port = await freePort()
  const [, manage, ...args] = serve!.replace('8000', String(port)).split(' ')
  const gateway = await behindGateway(t, {
    command: PYTHON,
    args: [join(project, manage!), ...args, '--noreload'],
    port,
  })

  const stranger = new Client(`${gateway.ws}/ws/chat/lobby`)
  await assert.rejects(stranger.opened, /403/)
  const ada = await open(`${gateway.ws}/ws/chat/lobby`, { headers: { cookie: `sessionid=${session}` } })
  assert.equal(await ada.ask('Grüße'), 'ada: Grüße')

  const push = code('django', 'python', /def publish/).replace('/srv/framegate/run', gateway.run)
  writeFileSync(join(project, 'mysite/gateway.py'), push)
  const published = python('-c', "from mysite.gateway import publish; print(publish('chat:lobby', 'hello'))")
  assert.deepEqual(JSON.parse(published.replaceAll("'", '"')), { delivered: 1, dropped: 0 })
  assert.equal(await ada.next(), 'hello')

  assert.equal((await fetch(`${gateway.url}/admin/login/`)).status, 200)
  assert.equal((await fetch(`${gateway.url}/ws/chat/lobby`, { method: 'POST' })).status, 426)
  python(
    'manage.py',
    'shell',
    '-c',
    'from django.contrib.sessions.models import Session; Session.objects.all().delete()',
  )
  assert.equal(await ada.ask('still here'), ': still here')
  await ada.close()
})
