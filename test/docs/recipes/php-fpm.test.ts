// docs/recipes/php-fpm.md works as it stands there, with a pool and an nginx of the test's own.
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, existsSync, globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, run } from '../../cli/framegate.ts'
import { until } from '../../support/wait.ts'
import { withFreePort } from '../markdown.ts'
import { behindGateway, checkChat, code } from './recipe.ts'

/** Started by root, php-fpm wants to know as whom its children run. */
const POOL = (own: string): string => `
[global]
error_log = ${own}/log
[socket]
user = www-data
group = www-data
listen = ${own}/php-fpm.sock
pm = static
pm.max_children = 2
`

const NGINX = (own: string): string => `
daemon off;
master_process off;
pid ${own}/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path ${own}/body;
    fastcgi_temp_path ${own}/fastcgi;
    include socket.conf;
}
`

test('a PHP script answers events', async (t) => {
  const own = folder(t)
  chmodSync(own, 0o755)
  writeFileSync(join(own, 'socket.php'), code('php-fpm', 'php'))
  writeFileSync(join(own, 'pool.conf'), POOL(own))
  const [program] = globSync('/usr/sbin/php-fpm*')
  // Killed, it would leave its children behind: it is stopped before `run` kills it.
  t.after(async () => {
    pool.process.kill('SIGTERM')
    await pool.ended
  })
  const pool = run(t, program!, ['--nodaemonize', '--fpm-config', join(own, 'pool.conf')])
  await until('the pool listens', () => {
    assert.equal(pool.process.exitCode, null, pool.output())
    return existsSync(join(own, 'php-fpm.sock'))
  })

  const { text, port } = await withFreePort(code('php-fpm', 'nginx'), 9000)
  writeFileSync(join(own, 'socket.conf'), text.replace('/srv/app', own).replace('/run/php', own))
  writeFileSync(join(own, 'nginx.conf'), NGINX(own))
  copyFileSync('/etc/nginx/fastcgi_params', join(own, 'fastcgi_params'))
  const gateway = await behindGateway(t, {
    command: '/usr/sbin/nginx',
    args: ['-e', 'stderr', '-c', join(own, 'nginx.conf')],
    port,
  })
  await checkChat(gateway)
})
