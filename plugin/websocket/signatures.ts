// Lets no event reach the app that the gateway has not signed: the hooks of the plugin's option `secret`.
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { EventRequest } from '../batch/request.ts'
import type { Verifier } from '../events/signature.ts'
import { EventHeader } from '../headers.ts'
import { ReadBody, readBytes } from './read-bytes.ts'

/**
 * Checks each event before all hooks that are added later: its head as soon as it is there, its body before anything
 * parses it. Other requests pass. The events of a batch have passed with their batch.
 */
export function requireSignatures(app: FastifyInstance, verifier: Verifier): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (!isEventAlone(request)) return done()
    const { method, originalUrl: url, headers } = request
    attempt(request, () => verifier.verifyContext({ method, url, headers }), done)
  })
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (!isEventAlone(request)) return done(null, payload)
    readBytes(payload as Readable, request, { limit: request.routeOptions.bodyLimit! }, (error, body) => {
      if (error) {
        reply.header('connection', 'close') // there may be more of it to come
        return done(error)
      }
      attempt(
        request,
        () => verifier.verifyBody(request.headers, body!),
        (fault) => done(fault ?? null, new ReadBody(body!)),
      )
    })
  })
}

function isEventAlone({ raw }: FastifyRequest): boolean {
  return raw.headers[EventHeader.type] !== undefined && !((raw as unknown) instanceof EventRequest)
}

function attempt(request: FastifyRequest, verify: () => void, done: (error?: Error) => void): void {
  try {
    verify()
  } catch (error) {
    request.log.warn(error)
    return done(error as Error)
  }
  done()
}
