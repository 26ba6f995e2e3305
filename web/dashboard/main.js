/** The dashboard page. It shows what the control API answers, and asks only while the page is visible. */

import { ask, Refused } from './api.js'
import { showClosed } from './closed.js'
import { showConnection } from './connection.js'
import { $, setText } from './element.js'
import { count } from './format.js'
import { Lists } from './lists.js'
import { watchNodes } from './nodes.js'
import { Overview } from './overview.js'
import { parseRoute } from './route.js'
import { showTopic } from './topic.js'
import { Watch } from './watch.js'

const EVERY = 2_000
const DETAILS = { connections: showConnection, topics: showTopic, closes: showClosed }

const overview = new Overview()
const lists = new Lists()
let lostAt
let detail
let connectionsElsewhere = 0

const nodes = watchNodes((list) => {
  connectionsElsewhere = list.nodes.reduce((sum, node) => sum + (node.is_own ? 0 : node.connections), 0)
  lists.offerNodes(list)
})

const status = new Watch({
  every: EVERY,
  ask: (signal) => ask('status', { signal }),
  show(answer) {
    showConnected()
    overview.show(answer)
    if (!lists.countsConnections) setText($('connections-count'), count(answer.connections + connectionsElsewhere))
    document.title = `${answer.connections} · framegate dashboard`
  },
  fail: showLost,
})

function showConnected() {
  if (lostAt) {
    lists.refresh()
    nodes.start()
  }
  lostAt = undefined
  $('banner').hidden = true
  delete document.body.dataset.lost
  showState('open', 'live')
}

/** Shows that the gateway does not answer. The last numbers stay on the page, with their time. */
function showLost(error) {
  lostAt ??= new Date()
  overview.pause()
  document.body.dataset.lost = ''
  showState('waiting', 'no answer')
  const isStranger = error instanceof Refused && error.status === 401
  const reason = isStranger
    ? 'The token is not accepted any more: sign in again.'
    : error instanceof Refused
      ? `The gateway refused to answer (${error.status}: ${error.message}).`
      : 'The gateway cannot be reached.'
  setText($('banner-text'), `${reason} The numbers are from ${lostAt.toLocaleTimeString('en-GB')}.`)
  setText($('banner-button'), isStranger ? 'Sign in' : 'Try now')
  $('banner').hidden = false
  $('banner').dataset.stranger = String(isStranger)
}

function showState(state, words) {
  $('state').dataset.state = state
  setText($('state'), words)
}

function follow() {
  const route = parseRoute(location.hash)
  detail?.stop()
  detail = undefined
  const place = $('detail')
  place.hidden = route.name === undefined
  $('main').toggleAttribute('data-detail', !place.hidden)
  if (place.hidden) place.replaceChildren()
  else detail = DETAILS[route.view](place, route.name)
  lists.show(route)
  if (!place.hidden && matchMedia('(width < 56rem)').matches) place.querySelector('.detail-title').focus()
}

$('banner-button').addEventListener('click', () => {
  if ($('banner').dataset.stranger === 'true') location.reload()
  else status.start()
})
document.addEventListener('visibilitychange', () => {
  if (document.hidden) overview.pause()
})
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.closest('input, textarea, select')) {
    event.preventDefault()
    $('search').focus()
  } else if (event.key === 'Escape' && !$('detail').hidden && !event.target.closest('input, textarea')) {
    $('detail').querySelector('[data-close]').click()
  }
})
addEventListener('hashchange', follow)
follow()
status.start()
nodes.start()
