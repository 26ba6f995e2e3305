// The shipped app: Fastify, the plugin, and the routes.
import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance } from 'fastify'
import websocket from '../plugin/index.ts'
import type { Config } from './config.ts'
import chat from './routes/chat.ts'
import echo from './routes/echo.ts'
import form from './routes/form.ts'
import time from './routes/time.ts'

/** Bytes of headers that a browser may send with the handshake; nginx lets as many through. */
const MAX_HEADER_BYTES = 65536

type BuildConfig = Pick<Config, 'logLevel' | 'maxMessageBytes'> & Partial<Pick<Config, 'secret'>>

/** Builds the app with all its routes; it does not listen. Add a route of your own in routes/, and register it here. */
export async function build(config: BuildConfig): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.logLevel },
    bodyLimit: config.maxMessageBytes,
    // Only the gateway connects here, so its headers about the client's address, host and protocol are true.
    trustProxy: true,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
  })
  await app.register(formbody)
  await app.register(websocket, { ...(config.secret && { secret: config.secret }) })
  await app.register(echo)
  await app.register(time)
  await app.register(form)
  await app.register(chat)
  return app
}
