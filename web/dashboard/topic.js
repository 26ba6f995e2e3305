/** The details of one topic: its subscribers, and a form to publish a frame to them. */

import { ask, path } from './api.js'
import { h, setText, stamp } from './element.js'
import { count } from './format.js'
import { frameForm } from './frame-form.js'
import { routeTo } from './route.js'
import { Watch } from './watch.js'

const EVERY = 3_000
const SHOWN = 100

/**
 * @param {HTMLElement} place
 * @param {string} topic
 * @returns {{ stop: () => void }}
 */
export function showTopic(place, topic) {
  place.replaceChildren(stamp('topic-template'))
  delete place.dataset.gone
  const find = (selector) => place.querySelector(selector)
  setText(find('[data-name]'), topic)
  frameForm(find('[data-send]'), async (frame) => {
    const { delivered, dropped } = await ask(path('topics', topic), { method: 'POST', ...frame })
    return `Delivered to ${count(delivered)}, dropped for ${count(dropped)}.`
  })
  const watch = new Watch({
    every: EVERY,
    ask: (signal) => ask(`${path('topics', topic)}?limit=${SHOWN}`, { signal }),
    show: ({ connections, count: all }) => {
      setText(find('[data-count]'), count(all))
      setText(
        find('[data-note]'),
        all === 0
          ? 'Nobody subscribes to it.'
          : all > connections.length
            ? `${count(connections.length)} of ${count(all)} are shown.`
            : '',
      )
      showMembers(find('[data-members]'), connections)
    },
  })
  watch.start()
  return watch
}

function showMembers(list, connections) {
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]))
  const items = connections.map(({ id, user = '', address }) => {
    const item =
      known.get(id) ??
      h(
        'li',
        { 'data-id': id },
        h(
          'a',
          { href: routeTo('connections', id) },
          h('span', { class: 'mono' }, id.slice(-8)),
          h('bdi'),
          h('span', { class: 'hint' }, address),
        ),
      )
    setText(item.querySelector('bdi'), user)
    return item
  })
  if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item))
    list.replaceChildren(...items)
}
