// Runs helm on deploy/helm, and kubectl on deploy/kubernetes. An npm package of AWS has both, for Linux on amd64.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { folder } from '../cli/framegate.ts'
import { project } from '../project/files.ts'
import { CHART } from './helm-values.ts'

const PACKAGE = join(project, 'node_modules/@aws-cdk/asset-kubectl-v20/lib/layer.zip')

/** Why helm cannot run here, or false. */
export const missing =
  process.platform === 'linux' && process.arch === 'x64' ? false : 'the package with helm is for Linux on amd64'

let unpacked: string | undefined
after(() => unpacked && rmSync(unpacked, { recursive: true }))

/** The path of a program from the package; HELM names another helm. */
function program(name: 'helm' | 'kubectl'): string {
  if (name === 'helm' && process.env.HELM) return process.env.HELM
  if (!unpacked) {
    unpacked = mkdtempSync(join(tmpdir(), 'framegate-helm-'))
    execFileSync('python3', ['-m', 'zipfile', '-e', PACKAGE, unpacked])
    for (const each of ['helm', 'kubectl']) chmodSync(join(unpacked, each, each), 0o755)
  }
  return join(unpacked, name, name)
}

function objectsIn(text: string): any[] {
  return parseAllDocuments(text).map((document) => {
    assert.deepEqual([document.errors, document.warnings], [[], []], text)
    return document.toJS()
  })
}

function run(t: TestContext, args: string[], values: object) {
  const home = folder(t)
  writeFileSync(join(home, 'values.yaml'), JSON.stringify(values))
  const env = { ...process.env, HOME: home, KUBECONFIG: join(home, 'none') }
  return spawnSync(program('helm'), [...args, '--values', join(home, 'values.yaml')], {
    cwd: project,
    env,
    encoding: 'utf8',
  })
}

/** The version of helm, such as 3.8.1. */
export function version(): string {
  return execFileSync(program('helm'), ['version', '--template', '{{ .Version }}'], { encoding: 'utf8' }).slice(1)
}

/** What helm prints with these values; the test fails if helm does. */
export function helm(t: TestContext, args: string[], values: object): string {
  const { status, stdout, stderr } = run(t, args, values)
  assert.equal(status, 0, stderr + stdout)
  return stdout
}

/** What helm prints as the reason why it does not render the chart with these values. */
export function refusal(t: TestContext, values: object): string {
  const { status, stdout, stderr } = run(t, ['template', 'framegate', CHART], values)
  assert.equal(status, 1, stdout)
  return stderr
}

/** The objects that the chart gives with these values. */
export function render(t: TestContext, values: object, release = 'framegate'): any[] {
  return objectsIn(helm(t, ['template', release, CHART], values))
}

/** The notes that an installation would print. helm prints them only with a cluster, so a template includes them. */
export function notes(t: TestContext, values: object): string {
  const copy = join(folder(t), 'framegate')
  cpSync(join(project, CHART), copy, { recursive: true })
  writeFileSync(
    join(copy, 'templates/notes.yaml'),
    'notes: {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}\n',
  )
  return parse(helm(t, ['template', 'framegate', copy, '--show-only', 'templates/notes.yaml'], values)).notes
}

/** The objects that kubectl makes of deploy/kubernetes. */
export function kustomized(): any[] {
  return objectsIn(
    execFileSync(program('kubectl'), ['kustomize', 'deploy/kubernetes'], { cwd: project, encoding: 'utf8' }),
  )
}

/** The first object of a kind; of the Services, that for clients. */
export function only(objects: any[], kind: string): any {
  const found = objects.find((object) => object.kind === kind)
  assert.ok(found, kind)
  return found
}
