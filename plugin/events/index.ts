// `framegate/events`: events and answers for every Node framework and Web runtime, without Fastify.
export type { Data } from '../frame-data.ts'
export * from '../gateway/gateway.ts'
export { EffectHeader, EventHeader, EventType, MediaType, SignatureHeader } from '../headers.ts'
export { Close } from './close.ts'
export type { HistoryOptions } from './effect-values.ts'
export type { ReplyEffects } from './effects.ts'
export { HttpError, NotAnEventError } from './errors.ts'
export type { TimerEvent } from './event.ts'
export type { NodeRequest } from './frame-body.ts'
export type { Frames } from './frame-stream.ts'
export { type EventHandler, type HandlerOptions, toNodeHandler, toWebHandler } from './handlers.ts'
export {
  type AlarmEvent,
  type CloseEvent,
  type DetachEvent,
  type GatewayEvent,
  type MessageEvent,
  type OpenEvent,
  type ReadOptions,
  type ResumeEvent,
  readEvent,
} from './read-event.ts'
export { type Answer, type NodeResponse, Reply, type StreamAnswer } from './reply.ts'
export type { SessionOption, SessionOptions } from './session.ts'
export { type Secret, SignatureError } from './signature.ts'
