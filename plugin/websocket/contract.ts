// What a client must know of an app's sockets, as a type: `app.ws` adds to it, and `framegate/client/typed` reads it.
import type { FastifyTypeProvider } from 'fastify'
import type { Serialized, SocketSchema, Validated } from './route-types.ts'

/** The frames of one socket. `message` is never where no schema describes it. */
export interface SocketContract {
  message: unknown
  frame: unknown
  query: unknown
}

/** An instance to which a socket was added. There is no such property: it exists for the compiler alone. */
export interface WithSocket<Path extends string, Contract extends SocketContract> {
  readonly '~sockets'?: { [P in Path]: Contract }
}

/** The contract of a schema. Where neither `reply` nor `push` is described, a frame may be anything. */
export interface ContractOf<Provider extends FastifyTypeProvider, Schema extends SocketSchema> {
  message: Schema extends { message: infer M extends object } ? Validated<Provider, M> : never
  frame: 'reply' | 'push' extends Described<Schema>
    ? Serialized<Provider, Schema['reply']> | Serialized<Provider, Schema['push']>
    : 'reply' extends Described<Schema>
      ? Serialized<Provider, Schema['reply']>
      : 'push' extends Described<Schema>
        ? Serialized<Provider, Schema['push']>
        : unknown
  query: Schema extends { querystring: infer Q extends object } ? Validated<Provider, Q> : unknown
}

type Described<Schema> = { [Name in keyof Schema]: Schema[Name] extends object ? Name : never }[keyof Schema]
