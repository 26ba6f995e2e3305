// The values of deploy/helm: values.schema.json describes those of values.yaml, and refuses what is wrong. helm is not needed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { read } from '../project/files.ts'
import { CHART, DEFAULTS, EVERYTHING, WRONG } from './helm-values.ts'

const SCHEMA = JSON.parse(read(`${CHART}/values.schema.json`))
const isValid = new Ajv({ strictTypes: false }).compile<any>(SCHEMA)

/** The names of all values, without those within maps that people fill. */
function paths(map: object, open: string[], prefix = ''): string[] {
  return Object.entries(map).flatMap(([name, value]) =>
    value?.constructor === Object && !open.includes(name) ? paths(value, open, `${prefix}${name}.`) : [prefix + name],
  )
}

test('the schema takes the values of values.yaml, and names no others', () => {
  assert.ok(isValid(DEFAULTS), JSON.stringify(isValid.errors))
  assert.ok(isValid({ ...DEFAULTS, ...EVERYTHING, global: {} }), JSON.stringify(isValid.errors))
  const described = Object.entries<any>(SCHEMA.properties).map(([name, { additionalProperties, properties: own }]) => [
    name,
    additionalProperties === false ? Object.fromEntries(Object.keys(own).map((key) => [key, null])) : null,
  ])
  const open = ['config', 'secret', 'resources', 'podAnnotations', 'nodeSelector', 'affinity', 'annotations']
  assert.deepEqual(paths(Object.fromEntries(described), []).sort(), [...paths(DEFAULTS, open), 'global'].sort())
})

test('the schema refuses', async (t) => {
  for (const [what, values] of WRONG) await t.test(what, () => assert.ok(!isValid({ ...DEFAULTS, ...values })))
})

test('the chart has the version of the project', () => {
  const { version, appVersion } = parse(read(`${CHART}/Chart.yaml`))
  const project = JSON.parse(read('package.json')).version
  assert.deepEqual([version, appVersion], [project, project])
})
