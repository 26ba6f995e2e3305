// A chat with a language model: its answer reaches the page word by word, and a page that comes back misses none of it.
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { Gateway, HttpError, toNodeHandler } from 'framegate/events'

const gateway = new Gateway()
const running = new Map() // the answers that this process is making, by topic

const handler = toNodeHandler((event, reply, request) => {
  const id = new URL(request.url, 'http://handler').searchParams.get('chat')
  if (!id) throw new HttpError(400, 'expected ?chat=')
  const topic = `ai:${id}`
  if (event.type === 'open') reply.subscribe(topic, { last: 1000 }) // what HISTORY keeps, then what comes
  if (event.type !== 'message') return
  if (event.frame === 'stop') running.get(topic)?.abort()
  else if (running.has(topic)) throw new HttpError(409, 'wait for the answer, or send stop')
  else void answer(topic, event.frame) // nobody waits for it: the socket's next message can be stop
})

async function answer(topic, question) {
  const stop = new AbortController()
  running.set(topic, stop)
  try {
    await gateway.publish(topic, { question })
    for await (const token of model(question, stop.signal)) await gateway.publish(topic, { token })
    await gateway.publish(topic, { done: true })
  } catch (error) {
    if (!stop.signal.aborted) console.error(error)
    await gateway.publish(topic, { stopped: true }).catch(console.error)
  } finally {
    running.delete(topic)
  }
}

/** Put the stream of your model here; it must end when `signal` is aborted. */
async function* model(question, signal) {
  for (const word of `You asked: ${question}. I am only an example, and know nothing.`.split(' ')) {
    await delay(50, undefined, { signal })
    yield `${word} `
  }
}

createServer({ maxHeaderSize: 65536 }, handler).listen(9000, '127.0.0.1')
