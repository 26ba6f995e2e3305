// docs/recipes/express.md works as it stands there.
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../../cli/framegate.ts'
import { project } from '../../support/gateway.ts'
import { withFreePort } from '../markdown.ts'
import { behindGateway, checkChat, code } from './recipe.ts'

test('an Express route answers events', async (t) => {
  const scratch = folder(t)
  symlinkSync(join(project, 'node_modules'), join(scratch, 'node_modules'))
  writeFileSync(join(scratch, 'package.json'), '{"type":"module"}')
  const { text, port } = await withFreePort(code('express', 'js'), 9000)
  writeFileSync(join(scratch, 'app.js'), text)
  const gateway = await behindGateway(t, { command: process.execPath, args: [join(scratch, 'app.js')], port })
  await checkChat(gateway)
})
