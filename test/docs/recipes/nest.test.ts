// docs/recipes/nest.md compiles as in a project of `nest new`, and works as it stands there.
import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../../cli/framegate.ts'
import { project } from '../../support/gateway.ts'
import { withFreePort } from '../markdown.ts'
import { behindGateway, checkChat, code } from './recipe.ts'

/** What `nest new` says in tsconfig.json and the compiler looks at here. */
const COMPILER = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    rootDir: 'src',
    outDir: 'dist',
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    isolatedModules: true,
    strictNullChecks: true,
    skipLibCheck: true,
    types: ['node'],
  },
  include: ['src'],
}

test('a Nest controller answers events', async (t) => {
  const scratch = folder(t)
  symlinkSync(join(project, 'node_modules'), join(scratch, 'node_modules'))
  writeFileSync(join(scratch, 'package.json'), '{}')
  writeFileSync(join(scratch, 'tsconfig.json'), JSON.stringify(COMPILER))
  mkdirSync(join(scratch, 'src'))
  const { text, port } = await withFreePort(code('nest', 'ts', /NestFactory/), 9000)
  writeFileSync(join(scratch, 'src/main.ts'), text)
  writeFileSync(join(scratch, 'src/app.module.ts'), code('nest', 'ts', /class AppModule/))
  writeFileSync(join(scratch, 'src/chat.controller.ts'), code('nest', 'ts', /class ChatController/))
  execFileSync(join(project, 'node_modules/.bin/tsc'), ['-p', scratch], { stdio: 'inherit' })
  const [, flag, main] = code('nest', 'sh', /dist/).split('\n')[1]!.split(' ')
  const gateway = await behindGateway(t, { command: process.execPath, args: [flag!, join(scratch, main!)], port })
  await checkChat(gateway)
})
