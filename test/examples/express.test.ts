// examples/express runs as its README shows.
import { join } from 'node:path'
import { test } from 'node:test'
import { behindGateway } from '../docs/recipes/recipe.ts'
import { linkPackages } from '../support/built-package.ts'
import { checkRoom, copyOfExample } from './example.ts'

test('the chat in Express', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'express')
  linkPackages(folder)
  const [, file] = commands.at(-1)!
  await checkRoom(await behindGateway(t, { command: process.execPath, args: [join(folder, file!)], port }))
})
