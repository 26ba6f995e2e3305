/** Certificates that openssl makes for a test, signed by an authority of its own. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export type Certificates = {
  folder: string
  /** Of the authority, in PEM form: what a client trusts. */
  authority: Buffer
  /** Makes (or renews) NAME.pem and NAME-key.pem for localhost and 127.0.0.1. */
  make: (name: string) => { certificate: string; key: string }
}

export function certificates(t: TestContext): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'framegate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  openssl(
    'req',
    '-x509',
    ...KEY,
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=framegate test',
  )
  return {
    folder,
    authority: readFileSync(join(folder, 'ca.pem')),
    make: (name) => {
      openssl(
        'req',
        '-x509',
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca-key.pem',
        ...KEY,
        '-keyout',
        `${name}-key.pem`,
        '-out',
        `${name}.pem`,
        '-days',
        '1',
        '-subj',
        `/CN=${name}`,
        '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      )
      return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
    },
  }
}
