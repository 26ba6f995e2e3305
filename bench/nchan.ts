/** nginx with Nchan, where Debian's libnginx-mod-nchan is installed. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort } from '../test/support/free-port.ts'
import { type Gateway, mainLines, startNginx } from './gateways.ts'

const MODULE = 'ngx_nchan_module.so'
let wasReported = false

/** Starts it beside the framegate in `run`. Without the module it resolves to undefined, and prints a line about it the first time. */
export async function startNchan(run: string): Promise<Gateway | undefined> {
  const lines = mainLines(run)
  const module = join(dirname(/^load_module (.+);/m.exec(lines)?.[1] ?? ''), MODULE)
  if (!existsSync(module)) {
    if (!wasReported) console.error('bench: there are no figures of Nchan: libnginx-mod-nchan is not installed')
    wasReported = true
    return undefined
  }
  const folder = join(run, 'nchan')
  const port = await freePort()
  mkdirSync(join(folder, 'temp'), { recursive: true })
  copyFileSync(join(import.meta.dirname, 'nchan/nginx.conf'), join(folder, 'nginx.conf'))
  writeFileSync(join(folder, 'main.conf'), `load_module ${module};\n${lines.replace(/^load_module.*\n?/gm, '')}`)
  writeFileSync(join(folder, 'listen.conf'), `listen 127.0.0.1:${port};\n`)
  return startNginx('nchan', folder, 'nginx.conf', port)
}
