import { dirname, resolve } from 'node:path'
import { Failure } from './failure.ts'
import { foreground, say, type Stop } from './foreground.ts'
import { checkNginx, configure, nginxCommand, waitForGateway, type Settings } from './gateway.ts'
import { Handler, handlerCommand } from './handler.ts'
import { startChild, type Child, type StopStep } from './process.ts'
import { checkPort, takeRunDirectory } from './run-directory.ts'

/** nginx takes no more sockets, closes those it has with 1001 and delivers their close events; then it leaves with what is left. */
const NGINX_GRACE: StopStep[] = [{ signal: 'SIGQUIT', wait: 10_000 }, { signal: 'SIGTERM', wait: 3_000 }]

type Running = { handler?: Handler, nginx?: Child }

/** Runs gateway and handler in the foreground until `stop` is asked for. Rejects with a Failure when they cannot run. */
async function start (project: string, environment: NodeJS.ProcessEnv, stop: Stop): Promise<void> {
  const env: NodeJS.ProcessEnv = { ...environment, PATH: `${environment.PATH ?? ''}:/usr/sbin:/sbin` }
  const directory = await takeRunDirectory(resolve(env.RUN_DIR || `${project}/run`))
  const running: Running = {}
  try {
    await Promise.race([run(project, directory.path, env, running), stop.asked])
  } finally {
    await Promise.race([endInOrder(running), stop.askedAgain])
    await Promise.all([running.nginx?.stop([]), running.handler?.stop([])])
    directory.release()
  }
}

async function run (project: string, directory: string, env: NodeJS.ProcessEnv, running: Running): Promise<never> {
  const settings = configure(project, directory, env)
  for (const { port, variable } of publicPorts(settings)) await checkPort(port, variable)
  const nginx = nginxCommand(directory, env)
  checkNginx(nginx)

  if (!env.HANDLER_URL) {
    running.handler = new Handler({ ...handlerCommand(project, handlerEnvironment(settings, env)), account: settings.account }, `${project}/handler`, say)
    await running.handler.start()
  }
  running.nginx = startChild(nginx)
  await waitForGateway(settings.CONTROL_SOCKET, running.nginx.ended)
  tellWhere(settings, running.handler !== undefined)
  throw new Failure(`nginx ended (${await running.nginx.ended}), so everything stops`)
}

function handlerEnvironment (settings: Settings, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...env,
    HANDLER_LISTEN: settings.HANDLER_URL[0]!.replace('http://', ''),
    CONTROL_SOCKET: settings.CONTROL_SOCKET,
    MAX_MESSAGE_BYTES: String(settings.MAX_MESSAGE_BYTES),
  }
}

function publicPorts ({ ports, PORTS, TLS_CERTIFICATE, TLS_PORT }: Settings): Array<{ port: number, variable: string, secure: string }> {
  const plain = ports.map((port) => ({ port, variable: PORTS.length > 0 ? 'PORTS' : 'PORT', secure: '' }))
  return TLS_CERTIFICATE === '' ? plain : [...plain, { port: TLS_PORT, variable: 'TLS_PORT', secure: 's' }]
}

function tellWhere (settings: Settings, shipped: boolean): void {
  const { SOCKET_PATH, HANDLER_URL, CONTROL_SOCKET } = settings
  const all = (address: (secure: string, port: number) => string): string =>
    publicPorts(settings).map(({ port, secure }) => address(secure, port)).join(', ')
  say(`page     ${all((s, port) => `http${s}://localhost:${port}/`)}`)
  say(`sockets  ${all((s, port) => `ws${s}://localhost:${port}${SOCKET_PATH}`)}`)
  say(`handler  ${HANDLER_URL.join(', ')}${shipped ? ' (handler/, started here)' : ''}`)
  say(`control  ${CONTROL_SOCKET}`)
  for (const note of settings.notes) say(note)
  say('Ctrl-C stops it')
}

/** The handler goes last: nginx tells it which sockets have closed. */
async function endInOrder ({ nginx, handler }: Running): Promise<void> {
  await nginx?.stop(NGINX_GRACE)
  await handler?.stop()
}

const project = dirname(import.meta.dirname)
await foreground((stop) => start(project, process.env, stop))
