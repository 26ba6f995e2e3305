/** Names for a gateway alone: a DNS server of the test's own, and nginx with another /etc/resolv.conf. Only root can. */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export const canRename =
  process.getuid!() === 0 &&
  spawnSync('unshare', ['-m', 'mount', '--bind', '/dev/null', '/etc/resolv.conf']).status === 0

/** The name that a DNS query asks for, and its type. */
function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  while (query[at]! > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    at += query[at]! + 1
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** Answers for these names with IPv4 addresses, and for all others that there is none (RFC 1035 section 4). */
export async function startNameServer(t: TestContext, address: string, names: Record<string, string>): Promise<void> {
  const server = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  server.on('message', (query, from) => {
    const { name, type, end } = questionOf(query)
    const found = names[name]
    const head = Buffer.from(query.subarray(0, end))
    head.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2)
    head.writeUInt16BE(found !== undefined && type === 1 ? 1 : 0, 6)
    head.writeUInt32BE(0, 8)
    const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...(found ?? '').split('.').map(Number)]
    server.send(
      found !== undefined && type === 1 ? Buffer.concat([head, Buffer.from(record)]) : head,
      from.port,
      from.address,
    )
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).bind(53, address, resolve))
  t.after(() => server.close())
}

/** From here to the end of the test, nginx has this text as its /etc/resolv.conf. */
export function withResolvConf(t: TestContext, text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-names-'))
  const find = 'PATH=$PATH:/usr/sbin command -v "${NGINX:-nginx}"'
  const nginx = spawnSync('sh', ['-c', find], { encoding: 'utf8' }).stdout.trim()
  writeFileSync(join(folder, 'resolv.conf'), text)
  writeFileSync(
    join(folder, 'nginx'),
    `#!/bin/sh\nexec unshare -m sh -c 'mount --bind ${folder}/resolv.conf /etc/resolv.conf && exec ${nginx} "$@"' sh "$@"\n`,
  )
  chmodSync(join(folder, 'nginx'), 0o755)
  const before = process.env.NGINX
  process.env.NGINX = join(folder, 'nginx')
  t.after(() => {
    if (before === undefined) delete process.env.NGINX
    else process.env.NGINX = before
    rmSync(folder, { recursive: true, force: true })
  })
}
