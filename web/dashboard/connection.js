/** The details of one connection, a form to send a frame to it, and a form to close it. */

import { byteLength, bytes } from '../shared/bytes.js'
import { counted } from '../shared/count.js'
import { ask, path, Refused } from './api.js'
import { fillFacts, h, stamp } from './element.js'
import { duration, moment } from './format.js'
import { frameForm, submitting } from './frame-form.js'
import { routeTo } from './route.js'
import { Watch } from './watch.js'

const EVERY = 2_000

/**
 * @param {HTMLElement} place
 * @param {string} id
 * @returns {{ stop: () => void }}
 */
export function showConnection(place, id) {
  place.replaceChildren(stamp('connection-template'))
  const find = (selector) => place.querySelector(selector)
  const watch = new Watch({
    every: EVERY,
    ask: (signal) => ask(path('connections', id), { signal }),
    show: (facts) => {
      fillFacts(find('[data-facts]'), factsOf(facts))
      showTopics(find('[data-topics]'), facts.topics)
    },
    fail: (error) => {
      if (error instanceof Refused && error.status === 410) end()
    },
  })
  const end = () => {
    watch.stop()
    find('[data-gone]').hidden = false
    place.dataset.gone = ''
  }
  delete place.dataset.gone
  find('[data-how]').href = routeTo('closes', id)
  fillFacts(find('[data-facts]'), [['Id', id, 'mono']])
  frameForm(find('[data-send]'), async (frame) => {
    await ask(path('connections', id), { method: 'POST', ...frame })
    watch.start()
    return `Sent ${bytes(frame.size)}.`
  })
  submitting(find('[data-close-form]'), async () => {
    const outcome = await close(id, find('[data-close-form]').elements)
    watch.start()
    return outcome
  })
  watch.start()
  return watch
}

async function close(id, { code, reason }) {
  if (byteLength(reason.value) > 123) throw new Error('not closed: a reason has at most 123 bytes')
  await ask(`${path('connections', id)}?${new URLSearchParams({ code: code.value, reason: reason.value })}`, {
    method: 'DELETE',
  })
  return `Closed with ${code.value}.`
}

function factsOf(facts) {
  const { id, user, address, path, node, opened, age, idle, frames, bytes: sizes, outbox } = facts
  return [
    ['Id', id, 'mono'],
    ['User', user ?? 'none', user === undefined ? 'hint' : undefined],
    ['Address', address],
    ['Path', path, 'mono'],
    ...(node === undefined ? [] : [['Node', node]]),
    ['Opened', `${moment(opened)}, ${duration(age)} ago`],
    ['Idle', duration(idle)],
    ['In', `${counted(frames.in, 'frame')}, ${bytes(sizes.in)}`],
    ['Out', `${counted(frames.out, 'frame')}, ${bytes(sizes.out)}`],
    ['Outbox', bytes(outbox)],
    ...(facts.compression === undefined ? [] : [['Compression', facts.compression]]),
    ...sessionFacts(facts),
    ...(facts.alarm === undefined ? [] : [['Alarm', `in ${duration(facts.alarm)}`]]),
  ]
}

function sessionFacts({ session }) {
  if (session === undefined) return []
  const { keep, away, unacknowledged } = session
  const client = away === undefined ? 'here' : `away for ${duration(away)}`
  return [['Session', `client ${client}, kept ${duration(keep)}; ${bytes(unacknowledged)} not confirmed`]]
}

function showTopics(list, topics) {
  if (list.dataset.topics === JSON.stringify(topics)) return
  list.dataset.topics = JSON.stringify(topics)
  list.replaceChildren(
    ...topics.map((topic) =>
      h('li', {}, h('a', { class: 'chip', href: routeTo('topics', topic) }, h('bdi', {}, topic))),
    ),
  )
  if (topics.length === 0) list.append(h('li', { class: 'hint' }, 'none'))
}
