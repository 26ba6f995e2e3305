/** A Fastify app with the plugin, in the test's own process. */

import { rmSync } from 'node:fs'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import websocket from '../../plugin/index.ts'

export type AppOptions = { batch?: boolean; secret?: string; routes: (app: FastifyInstance) => void }

/** Listens on a unix socket; `t.after` closes it. */
export async function startApp(t: TestContext, path: string, options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify({ trustProxy: true, bodyLimit: 64 * 1024 * 1024, forceCloseConnections: true })
  const { batch = true, secret } = options
  await app.register(websocket, { batch, ...(secret && { secret }) })
  options.routes(app)
  rmSync(path, { force: true })
  await app.listen({ path })
  t.after(() => app.close())
  return app
}

/** A promise that is kept from outside. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
