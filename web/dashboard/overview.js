/** The tiles at the top of the dashboard: the numbers of `/status`, each with its history of some minutes. */

import { bytes } from '../shared/bytes.js'
import { counted } from '../shared/count.js'
import { latency } from '../shared/latency.js'
import { $, fillFacts, fillRows, h, setText } from './element.js'
import { count, duration, moment, rate } from './format.js'
import { Readings } from './readings.js'
import { Sparkline } from './sparkline.js'

const TILES = [
  { name: 'Connections', series: 'connections', peak: count },
  { name: 'Frames in', unit: '/s', series: 'in', peak: rate },
  { name: 'Frames out', unit: '/s', series: 'out', peak: rate },
  { name: 'Pushes', unit: '/s', series: 'pushes', peak: rate },
  { name: 'Handler', unit: ' p95', series: 'latency', peak: latency },
]

export class Overview {
  #readings = new Readings()
  #tiles = TILES.map((tile) => makeTile(tile))

  constructor() {
    $('tiles').append(...this.#tiles.map(({ element }) => element))
    $('workers').open = matchMedia('(width >= 56rem)').matches
  }

  /** The gateway did not answer. */
  pause() {
    this.#readings.pause()
  }

  /** @param {import('./readings.js').Status} status */
  show(status) {
    const rates = this.#readings.add(status, performance.now())
    const { pushes, handler, bytes: sizes } = status
    const [p50, p95, p99] = rates.latency
    const shown = [
      [count(status.connections), whereConnections(status)],
      [rate(rates.in), `${count(status.frames.in)} in total, ${bytes(sizes.in)}`],
      [rate(rates.out), `${count(status.frames.out)} in total, ${bytes(sizes.out)}`],
      [rate(rates.pushes), `${count(pushes.delivered)} delivered, ${count(pushes.dropped)} dropped`],
      [latency(p95), `p50 ${latency(p50)}, p99 ${latency(p99)}`],
    ]
    this.#tiles.forEach((tile, i) => tile.show(...shown[i], this.#readings.series[TILES[i].series]))
    this.#showHealth(handler)
    setText($('about'), `${status.node}, version ${status.version}, up for ${duration(status.uptime)}`)
    fillFacts($('facts-line'), [
      [
        'Handler',
        `${rate(rates.events)} events/s, ${count(handler.events)} in total, ${count(handler.failures)} failed`,
      ],
      ['Started', moment(status.started)],
      ['Configuration', `${status.configuration}, loaded ${moment(status.loaded)}`],
      ...(isCacheUsed(status.cache) ? [['Answer cache', cacheInWords(status.cache)]] : []),
      ...(status.timers.length > 0 ? [['Timers', status.timers.map(timerInWords).join(', ')]] : []),
      ['Missing links', count(status.missing_links), status.missing_links > 0 ? 'failed' : undefined],
      ...status.silent_workers.map(({ pid }) => ['Silent worker', `pid ${pid} does not answer`, 'failed']),
    ])
    showWorkers(status.workers)
    showHandlers(status.handlers)
  }

  #showHealth({ is_up: isUp }) {
    const { health } = this.#tiles.at(-1)
    health.dataset.state = isUp === null ? 'none' : isUp ? 'open' : 'failed'
    setText(health, stateOf(isUp))
  }
}

function whereConnections({ workers, sessions }) {
  const where = `on ${counted(workers.length, 'worker')}`
  return sessions.away > 0 ? `${where}; ${count(sessions.away)} away, ${bytes(sessions.bytes)} wait` : where
}

const isCacheUsed = ({ hits, misses, waits }) => hits + misses + waits > 0

function cacheInWords({ hits, misses, waits }) {
  return `${counted(hits, 'hit')}, ${counted(waits, 'wait')}, ${counted(misses, 'miss', 'misses')}`
}

function timerInWords({ path, period }) {
  return `${path} every ${duration(period)}`
}

function makeTile({ name, unit = '', peak: peakOf }) {
  const value = h('span', { class: 'tile-value' })
  const below = h('p', { class: 'hint' })
  const peak = h('span', { class: 'hint peak' })
  const health = h('span', { class: 'state health', 'data-state': 'none' })
  const spark = new Sparkline()
  const head = h('h3', { class: 'label' }, name)
  const element = h(
    'div',
    { class: 'panel tile' },
    h('div', { class: 'tile-head' }, head, name === 'Handler' ? health : peak),
    h('p', { class: 'tile-number' }, value, h('span', { class: 'unit' }, unit)),
    below,
    spark.element,
  )
  return {
    element,
    health,
    show(text, words, series) {
      setText(value, text)
      setText(below, words)
      setText(peak, series.some((one) => one > 0) ? `peak ${peakOf(Math.max(...series.map((one) => one ?? 0)))}` : '')
      spark.show(series)
    },
  }
}

function showWorkers(workers) {
  const total = workers.reduce((sum, { memory }) => sum + memory, 0)
  setText($('workers-summary'), `${count(workers.length)}, ${bytes(total)}`)
  fillRows(
    $('workers-rows'),
    workers.map((worker) => ({
      key: worker.name,
      cells: [
        [worker.name, 'mono'],
        [String(worker.pid), 'number'],
        [count(worker.connections), 'number'],
        [bytes(worker.memory), 'number'],
        [bytes(worker.lua_memory), 'number'],
        [count(worker.lanes), 'number'],
        [count(worker.waiting), 'number'],
        [String(worker.configuration), 'number'],
        [worker.is_leaving ? 'shutting down' : 'serving'],
      ],
      isMuted: worker.is_leaving,
    })),
  )
}

function stateOf(isUp) {
  if (isUp === null) return 'no event yet'
  return isUp ? 'up' : 'down'
}

/** Where there is only the handler of HANDLER_URL, its tile shows all. */
function showHandlers(handlers) {
  $('handlers').hidden = handlers.length < 2
  const down = handlers.filter(({ is_up: isUp }) => isUp === false).length
  setText($('handlers-summary'), `${count(handlers.length)}${down > 0 ? `, ${count(down)} down` : ''}`)
  fillRows(
    $('handlers-rows'),
    handlers.map(({ name, events, failures, lanes, waiting, is_up: isUp }) => ({
      key: name,
      cells: [
        [name, 'mono'],
        [count(events), 'number'],
        [count(failures), 'number'],
        [count(lanes), 'number'],
        [count(waiting), 'number'],
        [stateOf(isUp)],
      ],
      isMuted: isUp === false,
    })),
  )
}
