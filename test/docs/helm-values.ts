// Values for deploy/helm: those of its tests, right and wrong ones.
import { parse } from 'yaml'
import { read } from '../project/files.ts'

export const CHART = 'deploy/helm'

/** values.yaml, as JSON. */
export const DEFAULTS = parse(read(`${CHART}/values.yaml`))
/** The least that must be given, with the values of deploy/kubernetes. */
export const NEEDED = {
  image: { repository: 'registry.example/framegate-gateway' },
  secret: parse(read('deploy/kubernetes/secret.yaml')).stringData,
}
/** Every part that is off or empty by default. */
export const EVERYTHING = {
  image: { ...NEEDED.image, tag: '0.1.0-1', pullPolicy: 'Always', pullSecrets: [{ name: 'registry' }] },
  secret: NEEDED.secret,
  service: { annotations: { 'example.com/balancer': 'internal' } },
  ingress: {
    enabled: true,
    className: 'nginx',
    annotations: { 'nginx.ingress.kubernetes.io/proxy-read-timeout': '3600' },
    hosts: ['chat.example', 'www.chat.example'],
    tls: [{ secretName: 'chat-tls', hosts: ['chat.example'] }],
  },
  podAnnotations: { 'prometheus.io/scrape': 'true' },
  nodeSelector: { 'kubernetes.io/arch': 'amd64' },
  tolerations: [{ key: 'sockets', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
  volumes: [{ name: 'redis-ca', configMap: { name: 'redis-ca' } }],
  volumeMounts: [{ name: 'redis-ca', mountPath: '/etc/redis-ca', readOnly: true }],
}
/** Values that are refused, with what is wrong about them. */
export const WRONG: Array<[string, object]> = [
  ['a value that does not exist', { replica: 3 }],
  ['a value that does not exist further down', { autoscaling: { enable: false } }],
  ['no replicas', { replicas: 0 }],
  ['off without quotes, which YAML makes a boolean', { config: { ...DEFAULTS.config, RECORD_HEADERS: false } }],
  ['a variable in small letters', { config: { ...DEFAULTS.config, workers: '2' } }],
  ['a port that is none', { config: { ...DEFAULTS.config, PORT: 'http' } }],
  ['no control port', { config: { ...DEFAULTS.config, CONTROL_PORT: null } }],
  ['a time that is none', { config: { ...DEFAULTS.config, STOP_SECONDS: 'soon' } }],
  ['a type of Service that has no ports', { service: { type: 'ExternalName' } }],
  ['an ingress without hosts', { ingress: { enabled: true, hosts: [] } }],
]
