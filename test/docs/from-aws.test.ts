// docs/from-aws.md: its lists are whole, and its snippets run.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { awsEnv, Sdk } from '../support/aws.ts'
import { open } from '../support/client.ts'
import { project, startGateway } from '../support/gateway.ts'
import { type LambdaEvent, startLambda } from '../support/lambda.ts'
import { onlyBlock, page, rows, section, withFreePort } from './markdown.ts'

const PAGE = page('docs/from-aws.md')

test('the table of errors has every error of @connections', () => {
  const source = readFileSync(join(project, 'lua/framegate/control/aws_error.lua'), 'utf8')
  const errors = [...source.matchAll(/= \{ (\d{3}), "(\w+)" \}/g)].map(([, status, name]) => `${status} \`${name}\``)
  assert.ok(errors.length > 5)
  const documented = rows(section(PAGE, '## Push with an AWS SDK')).map(([status, name]) => `${status} ${name}`)
  assert.deepEqual(
    documented.filter((row) => /^\d{3} /.test(row)),
    errors,
  )
})

test('a function that makes its endpoint of domainName and stage pushes through the location of the page', async (t) => {
  const { text: locations, port } = await withFreePort(onlyBlock(PAGE, 'nginx'), 9000)
  const gateway = await startGateway(t, {
    handler: false,
    locations,
    env: { HANDLER_PROTOCOL: 'aws', ...awsEnv(port) },
  })
  await startLambda(t, gateway.handlerSocket, async ({ requestContext, body }: LambdaEvent) => {
    const { eventType, domainName, stage, connectionId } = requestContext
    if (eventType === 'MESSAGE') {
      const sdk = new Sdk(t, port, { endpoint: `http://${domainName}/${stage}` })
      await sdk.post(connectionId, `pushed ${body}`)
    }
    return { statusCode: 200 }
  })
  const client = await open(`${gateway.ws}/ws/chat`)
  assert.equal(await client.ask('hello'), 'pushed hello')
  await client.close()
})

test('the server of the page runs a function', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { text, port } = await withFreePort(onlyBlock(PAGE, 'js', /createServer/), 3000)
  writeFileSync(join(folder, 'server.mjs'), text.replace(/\)\n$/, ', () => console.log("listening"))\n'))
  writeFileSync(
    join(folder, 'index.mjs'),
    'export const handler = async ({ body }) => { if (body === "fail") throw new Error(); return { statusCode: 200, body } }',
  )
  const server = spawn(process.execPath, [join(folder, 'server.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => server.kill())
  await new Promise((resolve) => server.stdout.once('data', resolve))
  const gateway = await startGateway(t, {
    handler: false,
    env: { HANDLER_PROTOCOL: 'aws', HANDLER_URL: `http://127.0.0.1:${port}` },
  })
  const client = await open(`${gateway.ws}/ws/chat`)
  assert.equal(await client.ask('hello'), 'hello')
  assert.match(String(await client.ask('fail')), /^{"message":"Internal server error"/)
  await client.close()
})
