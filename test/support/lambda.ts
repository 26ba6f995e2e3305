/** Functions in the form of AWS Lambda, behind the HTTP of Lambda's operation Invoke, as its runtime interface emulator has it. */
import { createServer } from 'node:http'
import type { TestContext } from 'node:test'
import { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
import { until } from './wait.ts'

export type LambdaEvent = { requestContext: Record<string, any>; [name: string]: any }

export type LambdaFunction = (event: LambdaEvent) => unknown

export type Invocation = { name: string; event: LambdaEvent; headers: Record<string, unknown>; body: string }

export type Lambda = {
  invocations: Invocation[]
  /** The first event of this type that fits, now or later. */
  seen: (eventType: string, fits?: (event: LambdaEvent) => boolean) => Promise<LambdaEvent>
}

const INVOKE = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/

/** Runs a function as Lambda's runtime does: what it returns or throws becomes JSON, with status 200. */
async function invoke(run: LambdaFunction, event: LambdaEvent): Promise<string> {
  try {
    return JSON.stringify(await run(event)) ?? 'null'
  } catch (error) {
    const { name, message } = error as Error
    return JSON.stringify({ errorMessage: message, errorType: name, stackTrace: [] })
  }
}

/** Listens on a unix socket; `t.after` ends it. */
export async function startLambda(
  t: TestContext,
  path: string,
  functions: LambdaFunction | Record<string, LambdaFunction>,
): Promise<Lambda> {
  const invocations: Invocation[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk) => {
      body += chunk
    })
    request.on('end', async () => {
      const name = INVOKE.exec(request.url!)?.[1] ?? request.url!
      const event = JSON.parse(body) as LambdaEvent
      invocations.push({ name, event, headers: request.headers, body })
      const run = typeof functions === 'function' ? functions : functions[name]
      if (!run) return response.writeHead(404).end(`no function ${name}`)
      response.writeHead(200, { 'content-type': 'application/json' }).end(await invoke(run, event))
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    invocations,
    seen: (eventType, fits = () => true) =>
      until(
        eventType,
        () => invocations.find(({ event }) => event.requestContext.eventType === eventType && fits(event))?.event,
        20_000,
      ),
  }
}

/** A gateway in front of functions. */
export async function lambdaGateway(
  t: TestContext,
  functions: LambdaFunction | Record<string, LambdaFunction>,
  { env = {}, ...options }: Omit<GatewayOptions, 'env'> & { env?: Record<string, string> } = {},
): Promise<{ gateway: Gateway; lambda: Lambda }> {
  const gateway = await startGateway(t, { handler: false, ...options, env: { HANDLER_PROTOCOL: 'aws', ...env } })
  return { gateway, lambda: await startLambda(t, gateway.handlerSocket, functions) }
}
