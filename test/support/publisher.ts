/** A publisher that does not stop by itself: it publishes numbers to a topic, one after the other. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { Gateway } from './gateway.ts'
import { control } from './topic-gateway.ts'

export type Publisher = {
  /** Ends it: the last number. */
  stop: () => Promise<number>
}

/** Publishes "TOPIC 1", "TOPIC 2" and so on. Each must be answered 200. */
export function publisher(gateway: Gateway, topic: string): Publisher {
  let isStopped = false
  const run = async (): Promise<number> => {
    let number = 0
    while (!isStopped) {
      const { status, json } = await control(gateway, 'POST', `/topics/${topic}`, `${topic} ${++number}`)
      assert.equal(status, 200, JSON.stringify(json))
      await turn()
    }
    return number
  }
  const running = run()
  return {
    stop: () => {
      isStopped = true
      return running
    },
  }
}
