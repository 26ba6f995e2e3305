/** One socket that closed: who it was, and why it ended. */

import { bytes } from '../shared/bytes.js'
import { explain } from '../shared/close-code.js'
import { counted } from '../shared/count.js'
import { ask } from './api.js'
import { fillFacts, setText, stamp } from './element.js'
import { duration, moment } from './format.js'
import { Watch } from './watch.js'

const EVERY = 5_000

/** In words, who or what ends a socket: the causes of the metric framegate_sockets_closed_total. */
const CAUSES = {
  client: 'the client closed it',
  handler: 'the handler closed it',
  control: 'it was closed over the control API',
  lost: 'the connection broke',
  idle: 'the client did not answer for IDLE_TIMEOUT',
  slow_message: 'a message took longer than MESSAGE_TIMEOUT',
  protocol: 'the client broke the protocol',
  too_large: 'a message was larger than MAX_MESSAGE_BYTES',
  overflow: 'the client was too slow to read',
  stop: 'the gateway stopped',
  reload: 'a reload replaced its worker',
  worker_killed: 'its worker was killed',
  buried: 'its node was cut off from the cluster',
}

/** The last sockets that closed, as docs/protocol.md has them. @param {AbortSignal} signal */
export async function askCloses(signal) {
  return (await ask('closes?limit=1000', { signal })).closes
}

/**
 * @param {HTMLElement} place
 * @param {string} id
 * @returns {{ stop: () => void }}
 */
export function showClosed(place, id) {
  place.replaceChildren(stamp('closed-template'))
  delete place.dataset.gone
  const find = (selector) => place.querySelector(selector)
  fillFacts(find('[data-facts]'), [['Id', id, 'mono']])
  const watch = new Watch({
    every: EVERY,
    ask: askCloses,
    show: (closes) => {
      const closed = closes.find((one) => one.id === id)
      setText(find('[data-note]'), closed ? '' : 'It is not among the last 1,000 sockets that closed.')
      if (!closed) return
      watch.stop() // Nothing about it changes any more.
      fillFacts(find('[data-facts]'), factsOf(closed))
    },
  })
  watch.start()
  return watch
}

function factsOf({ id, user, address, path, time, code, cause, reason, duration: seconds, frames, bytes: sizes }) {
  const { name, meaning } = explain(code, { opened: true })
  const traffic = (direction) =>
    frames ? `${counted(frames[direction], 'frame')}, ${bytes(sizes[direction])}` : 'not known: its worker was killed'
  return [
    ['Id', id, 'mono'],
    ['User', user ?? 'none', user === undefined ? 'hint' : undefined],
    ['Address', address],
    ['Path', path, 'mono'],
    ['Closed', `${moment(time)}, after ${duration(seconds)}`],
    ['Code', `${code} ${name}. ${meaning}`],
    ['Cause', `${cause}: ${CAUSES[cause] ?? 'unknown'}`],
    ['Reason', reason || 'none', reason === '' ? 'hint' : undefined],
    ['In', traffic('in')],
    ['Out', traffic('out')],
  ]
}
