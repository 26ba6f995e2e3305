/** A certificate for the sections that use TLS. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure, temporary } from './processes.ts'

/** Names of files in PEM form. */
export type Certificate = { certificate: string; key: string }

/** Makes a certificate of P-256 for localhost, signed by itself. Throws a Failure without openssl. */
export function certificate(): Certificate {
  const folder = temporary(mkdtempSync(join(tmpdir(), 'framegate-bench-')))
  const files = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') }
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const args = ['req', '-x509', ...curve, '-subj', '/CN=localhost', '-keyout', files.key, '-out', files.certificate]
  try {
    execFileSync('openssl', args, { stdio: 'pipe' })
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    throw new Failure(code === 'ENOENT' ? 'openssl is not installed: run sh setup/setup.sh --test' : String(stderr))
  }
  return files
}
