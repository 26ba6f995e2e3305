/** The console page. Its forms control a ReconnectingSocket, and its log shows every frame and every change of state. */

import { ReconnectingSocket, worthRetrying } from '../client/reconnecting-socket.js'
import { byteLength } from '../shared/bytes.js'
import { explain } from '../shared/close-code.js'
import { describe } from './frame.js'
import { Log } from './log.js'
import { describePath } from './path.js'

const $ = (id) => document.getElementById(id)
const log = new Log({ view: $('log'), list: $('log-list'), total: $('log-total') })
const WIDE_HEX = 600 // pixels that a row of 16 bytes needs
const ANSWER_MS = 20_000 // longer than the gateway waits for a handler that is away (HANDLER_WAIT)

/** @type {ReconnectingSocket | undefined} */
let socket
let socketPath = ''

$('connect-form').addEventListener('submit', (event) => {
  event.preventDefault()
  connect($('path').value.trim())
})

$('message-form').addEventListener('submit', (event) => {
  event.preventDefault()
  submit(chosenKind())
})

$('message-form').addEventListener('change', ({ target }) => {
  if (target.name === 'kind') showKind(target.value)
})

$('message-form').addEventListener('input', () => showProblem(''))

$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('message-form').requestSubmit()
})

$('suggestions').addEventListener('click', ({ target }) => {
  if (!target.dataset.path) return
  $('path').value = target.dataset.path
  showPath()
  useSample(describePath(target.dataset.path).samples[0])
})

$('again').addEventListener('change', ({ target }) => {
  if (!target.checked && socket?.state === 'waiting') socket.close()
})

$('disconnect').addEventListener('click', () => close(1000, ''))
$('path').addEventListener('input', showPath)
$('clear').addEventListener('click', () => log.clear())
showPath()
showKind(chosenKind())

function connect(path) {
  socket?.close(1000)
  try {
    const url = new URL(path, location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const retry = (event) => $('again').checked && worthRetrying(event)
    const answer = describePath(path).answers ? ANSWER_MS : 0
    socketPath = url.pathname + url.search
    socket = new ReconnectingSocket(url.href, [], { retry, answer, keep: 0 })
    socket.binaryType = 'arraybuffer'
    follow(socket, socketPath)
  } catch (error) {
    log.add({ direction: 'note', title: 'Not connected', text: error.message, failed: true })
  }
}

/** @param {ReconnectingSocket} opened the socket to log; the state of the newest one is shown */
function follow(opened, path) {
  let wasOpen = false
  let hasConnection = false
  const show = ({ state, delay, ...end }) => {
    if (opened === socket) showState(state, delay)
    if (end.code && hasConnection) logClose(end, path, wasOpen)
    if (end.code) hasConnection = false
    if (state === 'connecting') {
      hasConnection = true
      wasOpen = false
      log.add({ direction: 'note', title: 'Connecting', type: path })
    } else if (state === 'open') {
      wasOpen = true
      log.add({ direction: 'note', title: 'Open', type: path })
    } else if (state === 'waiting') {
      log.add({ direction: 'note', title: 'Waiting', type: `next try in ${seconds(delay)}` })
    }
  }
  opened.addEventListener('state', ({ detail }) => show(detail))
  opened.addEventListener('message', ({ data }) => logFrame('received', data))
  show({ state: opened.state })
}

async function submit(kind) {
  showProblem('')
  try {
    if (kind === 'close') return close(Number($('code').value), $('reason').value)
    const data = await payload(kind)
    if (!socket) throw new Error('not sent: connect first')
    socket.send(data)
    logFrame('sent', data)
  } catch (error) {
    showProblem(error.message)
  }
}

function close(code, reason) {
  if (!socket || socket.readyState >= WebSocket.CLOSING) throw new Error('not closed: there is no connection')
  if (code !== 1000 && !(code >= 3000 && code <= 4999)) throw new Error('not closed: use 1000, or 3000 to 4999')
  if (byteLength(reason) > 123) throw new Error('not closed: a reason has up to 123 bytes')
  socket.close(code, reason)
  log.add({ direction: 'note', title: 'Closing', type: reason ? `${code}, reason “${reason}”` : String(code) })
}

/** JSON is checked here, and sent as it was typed. The kind Text sends invalid JSON too. */
async function payload(kind) {
  if (kind === 'file') {
    const [file] = $('file').files
    if (!file) throw new Error('not sent: choose a file first')
    return file.arrayBuffer()
  }
  const text = $('text').value
  if (kind === 'json' && !isJson(text)) throw new Error('not sent: this is not JSON')
  return text
}

function isJson(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function logFrame(direction, data) {
  const { type, text, more, failed } = describe(data, { columns: $('log').clientWidth < WIDE_HEX ? 8 : 16 })
  const title = direction === 'sent' ? 'Sent' : 'Received'
  log.add({ direction, title, type, frame: text, text: more, failed: failed && direction === 'received' })
}

function logClose({ code, reason, wasClean }, path, opened) {
  const { name, meaning } = explain(code, { opened })
  const type = `${path}, ${code} ${name}, ${wasClean ? 'clean' : 'not clean'}`
  const text = reason ? `Reason: “${reason}”. ${meaning}` : meaning
  log.add({ direction: 'closed', title: 'Closed', type, text, failed: !wasClean })
}

function showState(state, delay) {
  const label = $('state')
  label.dataset.state = state
  label.textContent = state === 'waiting' ? `waiting ${seconds(delay)}` : state
  label.style.setProperty('--delay', `${delay ?? 0}ms`)
  const isOver = state === 'closing' || state === 'closed'
  $('connected').textContent = isOver ? '' : socketPath
  $('disconnect').hidden = isOver
  showTarget()
}

/** Shows where frames go: the field may name another path than the one that is connected. */
function showTarget() {
  const typed = $('path').value.trim()
  const isOpen = socket?.state === 'open'
  const isOther = isOpen && typed !== '' && typed !== socketPath
  $('target').textContent = isOther
    ? `Frames go to ${socketPath} until you connect to ${typed}.`
    : isOpen
      ? `Frames go to ${socketPath}.`
      : 'Frames go nowhere yet: connect first.'
}

function showPath() {
  const path = $('path').value.trim()
  showTarget()
  const { about, samples } = describePath(path)
  $('path-about').textContent = about
  for (const chip of $('suggestions').children) chip.setAttribute('aria-pressed', String(chip.dataset.path === path))
  $('samples').replaceChildren(
    ...samples.map((sample) => {
      const chip = document.createElement('button')
      chip.type = 'button'
      chip.className = 'chip'
      chip.textContent = sample.label
      chip.addEventListener('click', () => useSample(sample))
      return chip
    }),
  )
}

function useSample({ kind, text }) {
  $('message-form').elements.kind.value = kind
  $('text').value = text
  showKind(kind)
}

function showKind(kind) {
  for (const part of document.querySelectorAll('[data-kinds]'))
    part.hidden = !part.dataset.kinds.split(' ').includes(kind)
  $('samples').hidden = kind === 'file' || kind === 'close'
  $('send').textContent = kind === 'close' ? 'Close' : 'Send'
  showProblem('')
}

function showProblem(problem) {
  $('problem').textContent = problem
}

function chosenKind() {
  return $('message-form').elements.kind.value
}

function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
