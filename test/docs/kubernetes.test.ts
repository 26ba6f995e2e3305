// deploy/kubernetes has the form that Kubernetes wants, and its parts fit together and to the gateway. No cluster is needed.
import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { folder } from '../cli/framegate.ts'
import { files, read } from '../project/files.ts'
import { configure } from '../support/gateway.ts'
import { compile } from './kubernetes-types.ts'
import { page, rows, section } from './markdown.ts'

const FOLDER = 'deploy/kubernetes'
const kustomization = parse(read(`${FOLDER}/kustomization.yaml`))
const objects: any[] = kustomization.resources.flatMap((file: string) => documents(`${FOLDER}/${file}`))

function documents(file: string): any[] {
  return parseAllDocuments(read(file)).map((document) => {
    assert.deepEqual([document.errors, document.warnings], [[], []], file)
    return document.toJS()
  })
}

function only(kind: string, name = 'framegate'): any {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name)
  assert.equal(found.length, 1, `${kind} ${name}`)
  return found[0]
}

const { spec } = only('Deployment')
const pod = spec.template.spec
const [container] = pod.containers

test('every object has the fields of its kind, and no others', (t) => {
  assert.equal(compile(t, objects), '')
  const misspelt = structuredClone(only('Deployment'))
  misspelt.spec.template.spec.containers[0].livenesProbe = {}
  assert.match(compile(t, [misspelt]), /livenesProbe/, 'a field that does not exist is found')
})

test('all files are part of the whole', () => {
  const there = files(`${FOLDER}/*.yaml`).map((file) => basename(file))
  assert.deepEqual([...kustomization.resources, 'kustomization.yaml'].sort(), there)
  assert.deepEqual(
    kustomization.images.map(({ name }: { name: string }) => name),
    [container.image],
  )
})

test('labels, ports and names lead to the gateways', () => {
  const { labels } = spec.template.metadata
  const selectors = [
    spec.selector.matchLabels,
    pod.topologySpreadConstraints[0].labelSelector.matchLabels,
    only('PodDisruptionBudget').spec.selector.matchLabels,
    only('NetworkPolicy').spec.podSelector.matchLabels,
    ...objects.filter(({ kind }) => kind === 'Service').map((service) => service.spec.selector),
  ]
  assert.equal(selectors.length, 7)
  for (const selector of selectors) assert.deepEqual(selector, labels)

  const ports = new Map(container.ports.map(({ name, containerPort }: any) => [name, String(containerPort)]))
  const { data } = only('ConfigMap')
  assert.deepEqual([...ports.values()], [data.PORT, data.CONTROL_PORT])
  const named = [
    ...objects
      .filter(({ kind }) => kind === 'Service')
      .flatMap((service) => service.spec.ports.map((port: any) => port.targetPort)),
    ...only('NetworkPolicy').spec.ingress.flatMap((rule: any) => rule.ports.map((port: any) => port.port)),
  ]
  assert.equal(named.length, 5)
  for (const name of named) assert.ok(ports.has(name), name)

  const { apiVersion, kind, name } = only('HorizontalPodAutoscaler').spec.scaleTargetRef
  assert.equal(only(kind, name).apiVersion, apiVersion)
  for (const source of container.envFrom) {
    only('configMapRef' in source ? 'ConfigMap' : 'Secret', (source.configMapRef ?? source.secretRef).name)
  }
})

test('the gateway starts with these variables', (t) => {
  const env = { ...only('ConfigMap').data, ...only('Secret').stringData, NODE_NAME: 'framegate-6b8f9c5d4-x2x9z' }
  const known = rows(section(page('docs/operating.md'), '## Variables')).map(([name]) => name!.replaceAll('`', ''))
  for (const [name, value] of Object.entries(env)) {
    assert.equal(typeof value, 'string', name)
    assert.ok(known.includes(name), name)
  }
  configure(folder(t), env as Record<string, string>)
})

test('a stop has its time, and probes ask what the image has', () => {
  const [, wait] = container.lifecycle.preStop.exec.command.map(Number)
  const needed = wait + Number.parseInt(only('ConfigMap').data.STOP_SECONDS, 10) + 5
  assert.ok(
    pod.terminationGracePeriodSeconds > needed,
    `${pod.terminationGracePeriodSeconds} s, of ${needed} s at least`,
  )
  const [, health] = /^ +CMD (\["perl".*\])$/m.exec(read('nginx/Dockerfile'))!
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
    assert.deepEqual(container[probe].exec.command, JSON.parse(health!), probe)
  const [, uid] = /useradd --uid (\d+)/.exec(read('nginx/Dockerfile'))!
  assert.deepEqual([pod.securityContext.runAsUser, pod.securityContext.runAsGroup].map(String), [uid, uid])
})

test('the autoscaler counts by a metric that the gateway has', () => {
  const [{ pods }] = only('HorizontalPodAutoscaler').spec.metrics
  const metrics = rows(section(page('docs/operating.md'), '## Metrics')).map(([name]) => name!.replaceAll('`', ''))
  assert.ok(metrics.includes(pods.metric.name), pods.metric.name)
})
