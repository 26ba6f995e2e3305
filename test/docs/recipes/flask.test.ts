// docs/recipes/flask.md works as it stands there.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../../cli/framegate.ts'
import { withFreePort } from '../markdown.ts'
import { behindGateway, checkChat, code, PYTHON } from './recipe.ts'

test('a Flask route answers events', async (t) => {
  const app = join(folder(t), 'app.py')
  writeFileSync(app, code('flask', 'python'))
  const { text, port } = await withFreePort(code('flask', 'sh', /^flask/), 9000)
  const args = text.trim().replace('app.py', app).split(' ')
  const gateway = await behindGateway(t, { command: PYTHON, args: ['-m', ...args], port })
  await checkChat(gateway)
})
