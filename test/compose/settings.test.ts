// The variables that docker-compose.yml hands to the gateway.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { project } from '../support/gateway.ts'

/** The file says itself where the container listens, and its image who runs in it, and which nginx. */
const OF_COMPOSE = ['CONTROL_SOCKET', 'NGINX', 'PORTS', 'USER_NAME']

const VARIABLES = `
  package.path = "lua/?.lua;" .. package.path
  for _, variable in ipairs(require("framegate.configure.variables").list) do print(variable[1]) end`

test('docker-compose.yml hands every variable of the gateway on', () => {
  const { stdout } = spawnSync('lua5.1', ['-e', VARIABLES], { cwd: project, encoding: 'utf8' })
  const known = stdout
    .trim()
    .split('\n')
    .filter((name) => !OF_COMPOSE.includes(name))
  assert.ok(known.length > 5)

  const gateway = readFileSync(join(project, 'docker-compose.yml'), 'utf8').split(/^ {2}(?=\w)/m)[1]!
  const handedOn = [...gateway.matchAll(/^ {6}([A-Z_]+): /gm)].map((match) => match[1])
  assert.deepEqual(handedOn.sort(), known.sort())
})
