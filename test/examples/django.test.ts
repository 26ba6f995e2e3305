// examples/django runs as its README shows, in a project that django-admin makes.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../cli/framegate.ts'
import { page } from '../docs/markdown.ts'
import { behindGateway, PYTHON } from '../docs/recipes/recipe.ts'
import { Client, open } from '../support/client.ts'
import { copyOfExample } from './example.ts'

/** Makes users and prints the keys of sessions in which they are logged in. */
const LOG_IN = `
from django.contrib.auth.models import User
from django.test import Client
for name in ['ada', 'bob']:
    client = Client()
    client.force_login(User.objects.create_user(name))
    print(client.session.session_key)
`
const LOG_OUT = 'from django.contrib.sessions.models import Session; Session.objects.all().delete()'

test('the chat in Django, with its users and a push', async (t) => {
  const example = await copyOfExample(t, 'django')
  const site = folder(t)
  const python = (args: string[], env: NodeJS.ProcessEnv = {}): string =>
    execFileSync(PYTHON, args, { cwd: site, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } }).trim()
  python(['-m', 'django', 'startproject', 'mysite', '.'])
  for (const file of ['sockets.py', 'gateway.py']) cpSync(join(example.folder, file), join(site, 'mysite', file))
  const [, lines] = /`(from mysite\.sockets .*)`/.exec(page('examples/django/README.md'))!
  appendFileSync(join(site, 'mysite/urls.py'), `${lines!}\n`)
  const [migrate, [, manage, ...serve]] = example.commands as [string[], string[]]
  python(migrate.slice(1))
  const sessions = python(['manage.py', 'shell', '-c', LOG_IN]).split('\n')
  const args = [join(site, manage!), ...serve, '--noreload']
  const gateway = await behindGateway(t, { command: PYTHON, args, port: example.port })
  const url = `${gateway.ws}/ws/chat/lobby`

  await assert.rejects(new Client(url).opened, /403/)
  const [ada, bob] = await Promise.all(sessions.map((key) => open(url, { headers: { cookie: `sessionid=${key}` } })))
  assert.equal(await ada!.ask('Grüße'), 'ada: Grüße')
  assert.equal(await bob!.next(), 'ada: Grüße')

  const publish = "from mysite.gateway import publish; print(publish('chat:lobby', 'pushed'))"
  const counts = python(['-c', publish], { CONTROL_SOCKET: `${gateway.run}/control/control.sock` })
  assert.deepEqual(JSON.parse(counts.replaceAll("'", '"')), { delivered: 2, dropped: 0 })
  for (const client of [ada!, bob!]) assert.equal(await client.next(), 'pushed')

  assert.equal((await fetch(`${gateway.url}/admin/login/`)).status, 200)
  assert.equal((await fetch(`${gateway.url}/ws/chat/lobby`, { method: 'POST' })).status, 426)
  await ada!.close()
  assert.equal(await bob!.next(), 'ada left')
  python(['manage.py', 'shell', '-c', LOG_OUT])
  assert.equal(await bob!.ask('still here'), ': still here', 'who logs out is anonymous')
  await bob!.close()
})
