// examples/go runs as its README shows, where Go is installed: with 460 MB it is too large for the set-up of the tests.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { behindGateway } from '../docs/recipes/recipe.ts'
import { checkRoom, copyOfExample, has } from './example.ts'

test('the chat in Go', { skip: has('go') ? false : 'Go is not installed here' }, async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'go')
  const [, , source] = commands[0]!
  const program = join(folder, 'chat')
  execFileSync('go', ['vet', source!], { cwd: folder })
  execFileSync('go', ['build', '-o', program, source!], { cwd: folder })
  await checkRoom(await behindGateway(t, { command: program, args: [], port }))
})
