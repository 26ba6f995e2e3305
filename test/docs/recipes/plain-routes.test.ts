// docs/recipes/plain-routes.md works as it stands there, and nobody outside can make an event.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { listening, run } from '../../cli/framegate.ts'
import { open } from '../../support/client.ts'
import { fetchOnce } from '../../support/fetch-once.ts'
import { project, startGateway } from '../../support/gateway.ts'
import { startProbeHandler } from '../../support/probe-handler.ts'
import { until } from '../../support/wait.ts'
import { onlyBlock, page, section, withFreePort } from '../markdown.ts'
import { code } from './recipe.ts'
import { projectWithRoute, startProject } from './routes.ts'

const execute = promisify(execFile)
const FORGED = {
  'ce-type': 'framegate.message',
  Ce_State: 'root',
  'ws-user': 'root',
  'x-forwarded-for': '192.0.2.1',
  accept: 'text/event-stream',
}
const LOCATION = code('plain-routes', 'nginx')

/** The page's fetch, from a page of this site. */
function publish(site: string): Promise<Response> {
  const [, options] = /fetch\('\/news', (\{[^]*\})\)\n$/.exec(code('plain-routes', 'js'))!
  return fetchOnce(`${site}/news`, new Function(`return ${options}`)()) // the gateway is reloaded meanwhile
}

test('a page reaches POST /news of the handler once its location is there', async (t) => {
  const copy = projectWithRoute(t, 'news', onlyBlock(section(page('README.md'), '### From a route'), 'ts'))
  const started = await startProject(t, copy)
  const site = started.http
  const reader = await open(`${started.ws}/ws/news`)
  assert.equal((await publish(site)).status, 404, 'the demo site has no such page')

  writeFileSync(join(copy, 'nginx/locations.d/news.conf'), LOCATION)
  const [, , command] = onlyBlock(section(page('docs/recipes/plain-routes.md'), '## Open some paths'), 'sh').split(/\s/)
  await execute(process.execPath, [join(copy, 'cli/bin.js'), command!], {
    env: { ...process.env, RUN_DIR: join(copy, 'run') },
  })
  const answer = await until('the location is there', async () => {
    const response = await publish(site)
    return response.status === 200 && response.json()
  })
  assert.deepEqual(answer, { delivered: 1, dropped: 0 })
  assert.equal(await reader.next(), 'it rains')
  await reader.close()
  started.process.kill('SIGTERM')
  assert.equal(await started.ended, 0, started.output())
})

for (const [way, options] of [
  ['a location of the handler', { locations: LOCATION }],
  ['a site that is the handler', { env: (dir: string) => ({ SITE_URL: `http://unix:${dir}/handler/handler.sock` }) }],
] as const) {
  test(`${way} gets plain requests without forged headers, and no batches`, async (t) => {
    const gateway = await startGateway(t, { ...options, handler: false })
    const handler = await startProbeHandler(t, gateway.handlerSocket, (_, response) => void response.end('plain'))
    const answer = await fetch(`${gateway.url}/news`, { method: 'POST', headers: FORGED, body: 'hi' })
    assert.equal(await answer.text(), 'plain')
    const [{ url, headers, body }] = handler.events as [(typeof handler.events)[0]]
    assert.deepEqual([url, String(body), headers['x-forwarded-for']], ['/news', 'hi', '127.0.0.1'])
    assert.deepEqual(
      Object.keys(headers).filter((name) => /^(ce|ws)[-_]/.test(name)),
      [],
    )

    const stream = await fetch(`${gateway.url}/news`, { headers: { accept: 'text/event-stream' } })
    assert.equal(await stream.text(), 'plain', 'an event stream too')
    handler.events.pop()

    const type = { 'content-type': 'application/vnd.framegate.batch+json' }
    const batch = await fetch(`${gateway.url}/news`, { method: 'POST', headers: type, body: '[]' })
    assert.equal(batch.status, 415)
    assert.equal(handler.events.length, 1)
  })
}

test('a handler that is away is a 502 and a line in the log that names it', async (t) => {
  const gateway = await startGateway(t, { locations: LOCATION, handler: false, expect: [/the handler gave no answer/] })
  assert.equal((await fetch(`${gateway.url}/news`, { method: 'POST', body: 'hi' })).status, 502)
  await until('the line is there', () =>
    /the handler gave no answer to POST \/news: 502 \([^)]*\): it cannot be reached/.test(gateway.log()),
  )
})

test('whoever reaches the handler’s own port can be any user, as the page warns', async (t) => {
  const curl = onlyBlock(section(page('docs/recipes/plain-routes.md'), "## Keep the handler's port closed"), 'sh')
  const { text, port } = await withFreePort(curl, 3000)
  const handler = run(t, process.execPath, [join(project, 'handler/server.ts')], {
    HANDLER_LISTEN: `127.0.0.1:${port}`,
  })
  await listening(handler, port)
  const { stdout } = await execute('sh', ['-c', text])
  const [publication] = JSON.parse(stdout).effects
  assert.equal(JSON.parse(publication.publish.text).name, 'root')
})
