/**
 * The types of the typed client. There is no code here. `framegate` puts the sockets of an app into the type of its
 * instance (plugin/websocket/contract.ts); `app.ws(…)` returns it.
 *
 * @typedef {{ message: unknown, frame: unknown, query: unknown }} Contract of one socket
 *
 * @typedef {object} ErrorFrame in place of an answer
 * @property {number} statusCode
 * @property {string} [error]
 * @property {string} message
 *
 * @typedef {import('./interface.js').Options & { protocols?: import('./interface.js').Protocols, params?: Record<string, string | number>, query?: object }} OpenOptions
 */

/**
 * The sockets of an app whose messages have a schema, by path. The others are for a ReconnectingSocket.
 * @template App
 * @typedef {App extends { readonly '~sockets'?: infer All } ? { [Path in keyof NonNullable<All> as [NonNullable<All>[Path]] extends [{ message: never }] ? never : Path]: NonNullable<All>[Path] } : {}} SocketsOf
 */

/**
 * @template App
 * @typedef {{ open<Path extends keyof SocketsOf<App> & string>(path: Path, ...options: OptionsOf<Path, SocketsOf<App>[Path]>): Socket<SocketsOf<App>[Path]> }} Client
 */

/**
 * @template Of
 * @typedef {Of extends Contract ? TypedSocket<Of['message'], Of['frame'] | ErrorFrame> : never} Socket
 */

/**
 * @template Message, Frame
 * @typedef {object} TypedSocket a socket whose frames are JSON in both directions
 * @property {import('./reconnecting-socket.js').ReconnectingSocket} socket for its state and all its events
 * @property {((frame: Frame) => void) | null} onframe called for each frame
 * @property {(message: Message) => void} send keeps the message while there is no connection
 * @property {(code?: number, reason?: string) => void} close
 */

/**
 * What `open` needs: parameters where the path has some.
 * @template {string} Path, Of
 * @typedef {[NamesIn<Path>] extends [never] ? [options?: Given<Of>] : [options: Given<Of> & { params: { [Name in NamesIn<Path>]: string | number } }]} OptionsOf
 */

/**
 * @template Of
 * @typedef {Omit<OpenOptions, 'params' | 'query'> & { query?: Of extends Contract ? (unknown extends Of['query'] ? Record<string, string | number> : Of['query']) : never }} Given
 */

/**
 * The names of parameters in a path of Fastify.
 * @template {string} Path
 * @typedef {Path extends `${infer First}/${infer Rest}` ? NamesIn<First> | NamesIn<Rest> : Path extends '*' ? '*' : Path extends `${string}:${infer Rest}` ? Cut<Rest> | AfterName<Rest> : never} NamesIn
 */

/**
 * @template {string} Text
 * @typedef {Text extends `${infer Name}(${string}` ? Cut<Name> : Text extends `${infer Name}-${string}` ? Cut<Name> : Text extends `${infer Name}.${string}` ? Cut<Name> : Text extends `${infer Name}?` ? Name : Text} Cut
 */

/**
 * @template {string} Text
 * @typedef {Text extends `${string}(${string}` ? never : Text extends `${string}:${infer Rest}` ? Cut<Rest> | AfterName<Rest> : never} AfterName
 */

export {}
