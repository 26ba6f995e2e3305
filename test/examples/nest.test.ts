// examples/nest compiles and runs as its README shows.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { behindGateway } from '../docs/recipes/recipe.ts'
import { linkPackages } from '../support/built-package.ts'
import { project } from '../support/gateway.ts'
import { checkRoom, copyOfExample } from './example.ts'

test('the chat in Nest', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'nest')
  linkPackages(folder)
  execFileSync(join(project, 'node_modules/.bin/tsc'), ['-p', folder], { stdio: 'inherit' })
  const [, flag, main] = commands.at(-1)!
  const args = [flag!, join(folder, main!)]
  await checkRoom(await behindGateway(t, { command: process.execPath, args, port }))
})
