// A chat in Express: each event of a socket is a POST to one route.
import { createServer } from 'node:http'
import express from 'express'
import { HttpError, toNodeHandler } from 'framegate/events'

const app = express()
app.set('trust proxy', true) // request.ip is the client's address

const chat = toNodeHandler((event, reply, request) => {
  const { name } = request.query
  const topic = `chat:${request.params.room}`
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

app.post('/ws/chat/:room', chat)

createServer({ maxHeaderSize: 65536 }, app).listen(9000, '127.0.0.1') // room for cookies and 4 KB of state
