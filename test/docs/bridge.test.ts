// docs/bridge.md: its commands work, and its tables are those of the command and of its metrics.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { Counters } from '../../cli/bridge/counters.ts'
import { bridge } from '../../cli/commands/bridge.ts'
import { Device } from '../bridge/support.ts'
import { READY, run } from '../cli/framegate.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { runsOf } from './console.ts'
import { blocks, onlyBlock, page, rows, section } from './markdown.ts'

const PAGE = page('docs/bridge.md')
const plain = (cell: string): string => cell.replaceAll('`', '')

test('the first commands of the page work', async (t) => {
  const walk = section(PAGE, '## Try it')
  const [first, second] = blocks(walk, 'sh').map(({ text }) => text.trim())
  const [name, value] = /^(\w+)=(\S+) npm start$/.exec(first!)!.slice(1) as [string, string]
  const gateway = await startGateway(t, { env: { [name]: value } })
  const [printed] = runsOf(onlyBlock(walk, 'console'))
  const [, text, port] = /^printf '(.*)' \| nc -N 127\.0\.0\.1 (\d+)$/.exec(printed!.command)!
  const own = String(await freePort())
  const args = second!.replace('npx framegate', 'cli/bin.js').replace(port!, own).split(' ')
  assert.ok(args.includes(own))
  const started = run(t, process.execPath, args, { PORT: String(gateway.port) })
  await started.said(READY)
  const device = new Device(Number(own)).write(text!.replaceAll('\\n', '\n'))
  device.socket.end()
  assert.equal(await device.all(), printed!.output)
})

test('the table of options is that of the command', () => {
  const table = rows(section(PAGE, '## Options')).map((row) => row.map(plain))
  assert.deepEqual(
    table.map(([option]) => option),
    bridge.options.map(({ flags }) => flags),
  )
  for (const [option, value] of table) {
    const { defaultValue } = bridge.options.find(({ flags }) => flags === option)!
    if (defaultValue !== undefined) assert.equal(value, String(defaultValue), option)
  }
})

test('the tables of metrics are what the bridge counts', () => {
  const text = String(new Counters())
  const tables = rows(section(PAGE, '## Metrics'))
  const metrics = [...text.matchAll(/^# HELP (\w+) (.*)\n# TYPE \w+ (\w+)\n(?:\w+\{(.*)\} )?/gm)].map(
    ([, name, help, type, labels = '']) => [
      name,
      type,
      [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).join(', '),
      help,
    ],
  )
  assert.equal(metrics.length, 8)
  assert.deepEqual(
    tables.filter((row) => row.length === 4).map((row) => row.map(plain)),
    metrics,
  )
  const valuesOf = (cells: string[]): string[] =>
    cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, value]) => value!))
  assert.deepEqual(
    new Set(valuesOf(tables.filter((row) => row.length === 3).map(([, value]) => value!))),
    new Set([...text.matchAll(/="(\w+)"/g)].map(([, value]) => value)),
  )
})

test('under Docker Compose, the gateway trusts the address of the bridge', () => {
  const { services } = parse(onlyBlock(PAGE, 'yaml'))
  assert.equal(services.gateway.environment.TRUSTED_PROXIES, services.bridge.networks.default.ipv4_address)
  assert.ok(page('docker-compose.yml').includes(`image: ${services.bridge.image}\n`))
})
