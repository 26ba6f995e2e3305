// A chat in Next.js: a route handler answers the events of a socket.
import { HttpError, toWebHandler } from 'framegate/events'

type Context = { params: Promise<{ room: string }> }

export const POST = toWebHandler(async (event, reply, request, { params }: Context) => {
  const topic = `chat:${(await params).room}`
  const name = new URL(request.url).searchParams.get('name')
  switch (event.type) {
    case 'open':
      if (!name) throw new HttpError(400, 'expected ?name=')
      reply.user = name
      reply.subscribe(topic)
      break
    case 'message':
      reply.publish(topic, `${name}: ${event.frame}`)
      break
    case 'close':
      reply.publish(topic, `${name} left`)
  }
})
