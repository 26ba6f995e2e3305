// grafana/alerts.yml: promtool accepts the rules, which warn when they should and use metrics that exist; the page has them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { project } from '../project/files.ts'
import { startGateway } from '../support/gateway.ts'
import { metricsText } from '../support/metrics.ts'
import { page, rows, section } from './markdown.ts'

const RULES = page('grafana/alerts.yml')

function promtool(...args: string[]): string {
  return execFileSync('promtool', args, { cwd: project, encoding: 'utf8', stdio: 'pipe' })
}

test('promtool accepts the rules, and each raises its alert when it should and not before', () => {
  assert.match(promtool('check', 'rules', 'grafana/alerts.yml'), /SUCCESS: \d+ rules found/)
  assert.match(promtool('test', 'rules', join('test', 'docs', 'alerts.yml')), /SUCCESS/)
})

test('every rule is tested, and docs/operating.md has the same ones', () => {
  const names = [...RULES.matchAll(/- alert: (\w+)/g)].map((match) => match[1]!)
  assert.ok(names.length >= 9)
  const tested = page('test/docs/alerts.yml')
  assert.deepEqual(
    names.filter((name) => !tested.includes(name)),
    [],
  )
  const table = rows(section(page('docs/operating.md'), '### Alerts')).map(([name]) => name!.replaceAll('`', ''))
  assert.deepEqual(table, names)
})

test('the rules use metrics and labels of the gateway', async (t) => {
  const text = await metricsText(await startGateway(t))
  const selectors = [...RULES.matchAll(/\b(framegate_\w+)(?:\{(\w+)="(\w+)"\})?/g)]
  assert.ok(selectors.length >= 9)
  for (const [selector, name, label, value] of selectors) {
    assert.match(text, new RegExp(`^# TYPE ${name} (gauge|counter)$`, 'm'), selector)
    if (label) assert.match(text, new RegExp(`^${name}\\{.*\\b${label}="${value}"`, 'm'), selector)
  }
})
