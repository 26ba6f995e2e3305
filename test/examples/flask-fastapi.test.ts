// examples/flask and examples/fastapi run as their READMEs show.
import { test } from 'node:test'
import { behindGateway, PYTHON } from '../docs/recipes/recipe.ts'
import { checkRoom, copyOfExample } from './example.ts'

test('the chat in Flask', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'flask')
  const args = ['-m', ...commands[0]!.map((word) => word.replace('app.py', `${folder}/app.py`))]
  await checkRoom(await behindGateway(t, { command: PYTHON, args, port }))
})

test('the chat in FastAPI', async (t) => {
  const { folder, port, commands } = await copyOfExample(t, 'fastapi')
  const args = ['-m', ...commands[0]!, '--app-dir', folder]
  await checkRoom(await behindGateway(t, { command: PYTHON, args, port }))
})
