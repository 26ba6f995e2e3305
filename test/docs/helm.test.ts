// deploy/helm gives the objects of deploy/kubernetes, and each value does what values.yaml describes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { folder } from '../cli/framegate.ts'
import { configure } from '../support/gateway.ts'
import { helm, kustomized, missing, notes, only, refusal, render, version } from './helm.ts'
import { CHART, DEFAULTS, EVERYTHING, NEEDED, WRONG } from './helm-values.ts'
import { compile } from './kubernetes-types.ts'
import { onlyBlock, page, section } from './markdown.ts'

const withoutHelm = { skip: missing }

/** Objects without what the chart adds: labels of objects, the release in those of pods, and sums of the variables. */
function plain(objects: any[]): any[] {
  const isAdded = (name: string) => name.startsWith('checksum/') || name === 'app.kubernetes.io/instance'
  const unlabelled = objects.map(({ metadata: { labels, ...metadata }, ...rest }) => ({ metadata, ...rest }))
  const text = JSON.stringify(unlabelled, (name, value) =>
    isAdded(name) || (name === 'annotations' && Object.keys(value).every(isAdded)) ? undefined : value,
  )
  return JSON.parse(text)
}

function byName(objects: any[]): any {
  return Object.fromEntries(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]))
}

test('helm lint finds nothing', withoutHelm, (t) => {
  assert.match(helm(t, ['lint', '--strict', CHART], NEEDED), /1 chart\(s\) linted, 0 chart\(s\) failed/)
})

test('without other values it gives the objects of deploy/kubernetes', withoutHelm, (t) => {
  const { 'HorizontalPodAutoscaler framegate': autoscaler, ...others } = byName(plain(kustomized()))
  assert.deepEqual(byName(plain(render(t, { ...NEEDED, autoscaling: { enabled: false } }))), others)
  delete others['Deployment framegate'].spec.replicas // the autoscaler sets them, and an upgrade must not
  assert.deepEqual(byName(plain(render(t, NEEDED))), { 'HorizontalPodAutoscaler framegate': autoscaler, ...others })
})

test('every object has the fields of its kind, and no others', withoutHelm, (t) => {
  assert.equal(compile(t, render(t, NEEDED)), '')
  assert.equal(compile(t, render(t, EVERYTHING)), '')
})

test('it does not render without what must be given', withoutHelm, (t) => {
  assert.match(refusal(t, { secret: NEEDED.secret }), /image\.repository is missing/)
  for (const name of Object.keys(NEEDED.secret))
    assert.match(
      refusal(t, { ...NEEDED, secret: { ...NEEDED.secret, [name]: '' } }),
      RegExp(`secret.${name} is missing`),
    )
})

test('helm refuses what the schema refuses', withoutHelm, async (t) => {
  for (const [what, values] of WRONG)
    await t.test(what, () => assert.match(refusal(t, { ...NEEDED, ...values }), /don't meet the specifications/))
})

test('two releases share no names and no pods', withoutHelm, (t) => {
  const [one, two] = ['framegate', 'chat'].map((release) => render(t, NEEDED, release))
  const names = two!.map(({ metadata }) => metadata.name)
  assert.deepEqual([...new Set(names)].sort(), ['chat-framegate', 'chat-framegate-control', 'chat-framegate-nodes'])
  const [first, second] = [only(one!, 'Deployment'), only(two!, 'Deployment')].map(({ spec }) => spec)
  assert.notDeepEqual(first.selector, second.selector)
  for (const service of two!.filter(({ kind }) => kind === 'Service'))
    assert.deepEqual(service.spec.selector, second.selector.matchLabels)
  for (const [label, value] of Object.entries(second.selector.matchLabels))
    assert.equal(second.template.metadata.labels[label], value)
  const { envFrom } = second.template.spec.containers[0]
  assert.deepEqual(envFrom, [{ configMapRef: { name: 'chat-framegate' } }, { secretRef: { name: 'chat-framegate' } }])
  assert.equal(only(two!, 'HorizontalPodAutoscaler').spec.scaleTargetRef.name, 'chat-framegate')
  const named = render(t, { ...NEEDED, fullnameOverride: 'sockets' }, 'chat')
  assert.equal(only(named, 'Deployment').metadata.name, 'sockets')
})

test('a changed variable replaces the pods', withoutHelm, (t) => {
  const sums = (values: object) =>
    only(render(t, { ...NEEDED, ...values }), 'Deployment').spec.template.metadata.annotations
  const before = sums({})
  assert.deepEqual(sums({}), before)
  const config = sums({ config: { WORKERS: '4' } })
  assert.notEqual(config['checksum/config'], before['checksum/config'])
  assert.equal(config['checksum/secret'], before['checksum/secret'])
  const secret = sums({ secret: { ...NEEDED.secret, CONTROL_TOKEN: 'another-long-random-token' } })
  assert.equal(secret['checksum/config'], before['checksum/config'])
  assert.notEqual(secret['checksum/secret'], before['checksum/secret'])
})

test('what is switched off is not there', withoutHelm, (t) => {
  const off = { enabled: false }
  const few = render(t, { ...NEEDED, autoscaling: off, networkPolicy: off, podDisruptionBudget: off, replicas: 5 })
  assert.deepEqual(few.map(({ kind }) => kind).sort(), [
    'ConfigMap',
    'Deployment',
    'Secret',
    'Service',
    'Service',
    'Service',
  ])
  assert.equal(only(few, 'Deployment').spec.replicas, 5)
})

test('a Secret that is there takes the place of its own', withoutHelm, (t) => {
  const objects = render(t, { image: NEEDED.image, existingSecret: 'sockets' })
  assert.ok(!objects.some(({ kind }) => kind === 'Secret'))
  const { metadata, spec } = only(objects, 'Deployment').spec.template
  assert.deepEqual(spec.containers[0].envFrom[1], { secretRef: { name: 'sockets' } })
  assert.deepEqual(Object.keys(metadata.annotations), ['checksum/config'])
})

test('variables are texts that the gateway understands', withoutHelm, (t) => {
  const config = {
    PORT: 8081,
    MAX_DETACHED: 1000000,
    OTEL_TRACES_SAMPLER_ARG: 0.01,
    SOCKET_LOG: null,
    COMPRESSION: 'off',
  }
  const objects = render(t, { ...NEEDED, config })
  const { data } = only(objects, 'ConfigMap')
  assert.deepEqual(data, {
    ...Object.fromEntries(Object.entries(DEFAULTS.config).filter(([name]) => name !== 'SOCKET_LOG')),
    PORT: '8081',
    MAX_DETACHED: '1000000',
    OTEL_TRACES_SAMPLER_ARG: '0.01',
    COMPRESSION: 'off',
  })
  configure(folder(t), { ...data, ...only(objects, 'Secret').stringData })
  assert.equal(only(objects, 'Deployment').spec.template.spec.containers[0].ports[0].containerPort, 8081)
})

test('a stop has its time, whatever STOP_SECONDS is', withoutHelm, (t) => {
  const grace = (values: object) =>
    only(render(t, { ...NEEDED, ...values }), 'Deployment').spec.template.spec.terminationGracePeriodSeconds
  for (const [time, seconds] of [
    ['30', 50],
    ['1.5m', 110],
    ['500ms', 21],
    ['1h', 3620],
    [45, 65],
    [null, 21],
  ] as const)
    assert.equal(grace({ config: { STOP_SECONDS: time } }), seconds, String(time))
  assert.equal(grace({ preStopSeconds: 10 }), 45)
})

test('pods, Services and the policy get what their values name', withoutHelm, (t) => {
  const objects = render(t, { ...EVERYTHING, networkPolicy: { controlFrom: [{ podSelector: {} }] } })
  const { metadata, spec } = only(objects, 'Deployment').spec.template
  const [container] = spec.containers
  for (const name of ['nodeSelector', 'tolerations', 'affinity', 'volumes'] as const)
    assert.deepEqual(spec[name], EVERYTHING[name], name)
  assert.deepEqual(container.volumeMounts, EVERYTHING.volumeMounts)
  assert.equal(metadata.annotations['prometheus.io/scrape'], 'true')
  assert.deepEqual(
    [container.image, container.imagePullPolicy, spec.imagePullSecrets],
    ['registry.example/framegate-gateway:0.1.0-1', 'Always', [{ name: 'registry' }]],
  )
  assert.deepEqual(only(objects, 'Service').metadata.annotations, EVERYTHING.service.annotations)
  assert.deepEqual(only(objects, 'NetworkPolicy').spec.ingress[1].from, [{ podSelector: {} }])
  const service = { type: 'ClusterIP', port: 8000 }
  assert.deepEqual(only(plain(render(t, { ...NEEDED, service })), 'Service').spec, {
    type: 'ClusterIP',
    selector: { 'app.kubernetes.io/name': 'framegate' },
    ports: [{ name: 'public', port: 8000, targetPort: 'public' }],
  })
})

test('an ingress leads every host to the Service', withoutHelm, (t) => {
  const objects = render(t, EVERYTHING)
  const { metadata, spec } = only(objects, 'Ingress')
  const { className, annotations, hosts, tls } = EVERYTHING.ingress
  assert.deepEqual([metadata.annotations, spec.ingressClassName, spec.tls], [annotations, className, tls])
  assert.deepEqual(
    spec.rules.map(({ host }: any) => host),
    hosts,
  )
  const [port] = only(objects, 'Service').spec.ports
  for (const { http } of spec.rules)
    assert.deepEqual(http.paths, [
      { path: '/', pathType: 'Prefix', backend: { service: { name: 'framegate', port: { name: port.name } } } },
    ])
})

test('the notes name what the values gave', withoutHelm, (t) => {
  assert.match(notes(t, NEEDED), /CONTROL_URL=http:\/\/framegate-control\.default:9000\n/)
  assert.doesNotMatch(notes(t, NEEDED), /WARNING/)
  assert.match(notes(t, EVERYTHING), /WARNING: config\.TRUSTED_PROXIES is not set/)
  assert.doesNotMatch(notes(t, { ...EVERYTHING, config: { TRUSTED_PROXIES: '10.0.0.0/8' } }), /WARNING/)
})

test('the values of docs/cluster.md are right, and so is the version that it names', withoutHelm, (t) => {
  const helmSection = section(page('docs/cluster.md'), '### Helm')
  const values = parse(onlyBlock(helmSection, 'yaml'))
  const { data } = only(render(t, values), 'ConfigMap')
  assert.deepEqual(data, { ...DEFAULTS.config, ...values.config })
  assert.ok(process.env.HELM || helmSection.includes(`Helm ${version()}`), version())
})
