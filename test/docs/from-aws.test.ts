// docs/from-aws.md: its lists are whole.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { project } from '../support/gateway.ts'
import { page, rows, section } from './markdown.ts'

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
