// The size of the client, and what it imports.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { files, project, read } from '../project/files.ts'

test('the client has less than 3 KB, minified and compressed, and no dependencies', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(project, 'web/client/reconnecting-socket.js')],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    metafile: true,
  })
  const size = gzipSync(outputFiles[0]!.contents).length
  assert.ok(size > 1_000 && size < 3 * 1024, `${size} bytes`)
  assert.ok(Object.keys(metafile.inputs).every((path) => path.includes('web/client/')))
})

test('the client is loaded as it is: it imports only files beside it', () => {
  for (const file of files('web/client/*.js'))
    for (const [, from] of read(file).matchAll(/^(?:import|export) .* from '(.*)'/gm))
      assert.match(from!, /^\.\/[a-z-]+\.js$/)
})
