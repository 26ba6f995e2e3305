// docs/operating.md, the dashboard and the gateway name the same metrics; Prometheus reads them as the page says.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { metricsText } from '../support/metrics.ts'
import { startRedis } from '../support/redis.ts'
import { control } from '../support/topic-gateway.ts'
import { until } from '../support/wait.ts'
import { printed, runsOf, shell } from './console.ts'
import { blocks, page, rows, section } from './markdown.ts'

const CHAPTER = section(page('docs/operating.md'), '## Metrics')
const [TOKEN] = /(?<=CONTROL_TOKEN=)\S+/.exec(CHAPTER)!

const EVENTS = ['open', 'message', 'alarm', 'detach', 'resume', 'close', 'timer']

type Panel = {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Array<{ expr: string }>
  fieldConfig?: any
}

const dashboard = JSON.parse(page('grafana/dashboard.json'))
const panels: Panel[] = dashboard.panels
const expressions: string[] = [...panels.flatMap(({ targets = [] }) => targets), ...dashboard.annotations.list].map(
  ({ expr }) => expr,
)

type Family = { type: string; help: string; labels: Set<string>; values: Set<string> }

function familiesOf(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  for (const [, name, help] of text.matchAll(/^# HELP (\w+) (.*)$/gm))
    families.set(name!, { help: help!, type: '', labels: new Set(), values: new Set() })
  for (const [, name, type] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) families.get(name!)!.type = type!
  for (const [, name, labels] of text.matchAll(/^(\w+)\{(.*)\} /gm)) {
    const family = families.get(name!) ?? families.get(name!.replace(/_(bucket|sum|count)$/, ''))!
    for (const [, label, value] of labels!.matchAll(/(\w+)="([^"]*)"/g)) {
      if (label !== 'le') family.labels.add(label!)
      if (label !== 'le' && label !== 'version') family.values.add(`${label}=${value}`)
    }
  }
  return families
}

test('the tables of the page have the metrics of the gateway, their labels and what these may be, and no others', async (t) => {
  const gateway = await startGateway(t)
  const families = familiesOf(await metricsText(gateway))
  const [metrics, labels] = [
    rows(CHAPTER).filter((row) => row.length === 4),
    rows(CHAPTER).filter((row) => row.length === 3),
  ]
  assert.deepEqual(
    metrics.map((row) => row.map((cell) => cell.replaceAll('`', ''))),
    [...families].map(([name, { type, help, labels }]) => [name, type, [...labels].join(', '), help]),
  )
  const told = new Set(
    labels.map((row) => row[1]!).flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)),
  )
  const inPage = (value: string): boolean => told.has(value) || /^1\d{3}$/.test(value)
  const values = new Set(
    [...families.values()].flatMap((family) => [...family.values].map((value) => value.split('=')[1]!)),
  )
  assert.deepEqual(
    [...values].filter((value) => !inPage(value) && !EVENTS.includes(value)),
    [],
  )
  assert.deepEqual(
    [...told].filter((value) => !values.has(value) && value !== 'outcome'),
    [],
  )
})

test('the dashboard uses metrics and labels that exist; every panel has a title, a unit and a place of its own', async (t) => {
  const gateway = await startGateway(t)
  const families = familiesOf(await metricsText(gateway))
  const used = new Set<string>()
  for (const expression of expressions) {
    for (const [, name, suffix = '', selector] of expression.matchAll(
      /\b(framegate_\w+?)(_bucket|_sum|_count)?(?:\{(.*?)\}|(?=\W))/g,
    )) {
      const family = families.get(name! + suffix) ?? families.get(name!)
      assert.ok(family && (family.type === 'histogram') === (suffix !== ''), `${name}${suffix} in ${expression}`)
      used.add(name!)
      for (const [, label] of selector!.matchAll(/(\w+)[!=~]+"/g))
        assert.ok(label === 'instance' || family.labels.has(label!), `${label} in ${expression}`)
    }
    for (const [, list] of expression.matchAll(/by \(([^)]*)\)/g)) {
      for (const label of list!.split(', '))
        assert.ok(
          label === 'le' || [...families.values()].some(({ labels }) => labels.has(label)),
          `${label} in ${expression}`,
        )
    }
  }
  assert.deepEqual(
    [...families.keys()].filter((name) => !used.has(name) && name !== 'framegate_build_info'),
    [],
    'and it shows all of them',
  )
  for (const panel of panels) {
    assert.ok(panel.title, `panel ${panel.id} has a title`)
    if (panel.type === 'row') continue
    assert.match(panel.fieldConfig.defaults.unit, /^(short|ops|Bps|bytes|s|percentunit)$/, panel.title)
    assert.ok(panel.targets!.length > 0, panel.title)
  }
  const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  )
  assert.equal(new Set(places).size, places.length, 'no panel covers another')
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
})

type Prometheus = {
  ask: (expression: string) => Promise<{ status: string; data: { result: Array<{ value: [number, string] }> } }>
}

/** Debian's Prometheus with the configuration of the page, asking this gateway every second. */
async function startPrometheus(t: TestContext, controlPort: number): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-prometheus-'))
  const config = blocks(CHAPTER, 'yaml')[0]!
    .text.replace('localhost:8081', `127.0.0.1:${controlPort}`)
    .replace('15s', '1s')
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const port = await freePort()
  const child = spawn(
    'prometheus',
    ['--config.file=prometheus.yml', `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.on('data', (chunk) => {
    log += chunk
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await new Promise((resolve) =>
      child.exitCode !== null || child.signalCode !== null ? resolve(undefined) : child.once('exit', resolve),
    )
    rmSync(folder, { recursive: true, force: true })
  })
  const api = `http://127.0.0.1:${port}`
  await until(
    'Prometheus is ready',
    () => {
      assert.equal(child.exitCode, null, log)
      return fetch(`${api}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    },
    30_000,
  )
  return {
    ask: async (query) =>
      (await fetch(`${api}/api/v1/query?${new URLSearchParams({ query })}`)).json() as ReturnType<Prometheus['ask']>,
  }
}

test('Prometheus scrapes the gateway as the page says, and every expression of the dashboard gives numbers', async (t) => {
  const controlPort = await freePort()
  const { port: redisPort } = await startRedis(t)
  const gateway = await startGateway(t, {
    env: {
      CONTROL_PORT: String(controlPort),
      CONTROL_TOKEN: TOKEN!,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`, // gauges of the cluster are missing without
    },
  })
  for (const { command, output } of blocks(CHAPTER, 'console').flatMap(({ text }) => runsOf(text))) {
    assert.deepEqual(
      printed(await shell(command.replace('run/control', `${gateway.run}/control`))),
      printed(output),
      command,
    )
  }
  const { ask } = await startPrometheus(t, controlPort)
  const client = await open(`${gateway.ws}/ws/echo`)
  await until(
    'two scrapes have seen traffic',
    async () => {
      await client.ask('hello')
      await control(gateway, 'POST', '/broadcast', 'x')
      await client.next()
      const { data } = await ask('rate(framegate_frames_received_total[10s])')
      return Number(data.result[0]?.value[1] ?? 0) > 0
    },
    30_000,
  )
  for (const expression of expressions) {
    const { status, data } = await ask(expression.replaceAll('$__rate_interval', '10s').replaceAll('$instance', '.*'))
    assert.equal(status, 'success', expression)
    if (!expression.startsWith('changes')) assert.ok(data.result.length > 0, expression)
  }
  client.socket.terminate()
})
