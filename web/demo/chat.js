/** The chat page. The door asks for a name, the hash of the URL names the room, and a RoomSocket connects the two. */

import { avatar } from './avatar.js'
import { Conversation } from './conversation.js'
import { Door } from './door.js'
import { People } from './people.js'
import { RoomSocket } from './room-socket.js'
import { Rooms } from './rooms.js'

const $ = (id) => document.getElementById(id)
const conversation = new Conversation({ view: $('scroll'), list: $('messages'), jump: $('jump') })
const rooms = new Rooms({ list: $('rooms'), form: $('room-form'), field: $('room') })
const door = new Door(
  { door: $('door'), face: $('face'), form: $('door-form'), name: $('name'), problem: $('name-problem') },
  (name) => enter(name, { byHand: true }),
)

/** @type {{ name: string, room: string, socket: RoomSocket, people: People, id?: string, wasIn?: boolean, wasAway?: boolean, byHand: boolean } | undefined} */
let visit
let unread = 0

$('composer').addEventListener('submit', (event) => {
  event.preventDefault()
  say($('text').value.trim())
  $('text').focus()
})

$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  $('composer').requestSubmit()
})

$('me').addEventListener('click', () => openDoor())
$('try-now').addEventListener('click', () => visit?.socket.connect())
addEventListener('hashchange', () => (visit ? enter(visit.name) : showRoom()))
document.addEventListener('visibilitychange', () => countUnread(0))

showRoom()
if (door.visitor) enter(door.visitor)
else openDoor()

function openDoor(problem) {
  leave()
  $('chat').hidden = true
  door.open(problem)
}

function leave() {
  visit?.people.forget()
  visit?.socket.close()
  visit = undefined
}

/** @param {string} name @param {{ byHand?: boolean }} [how] byHand: the visitor typed the name just now */
function enter(name, { byHand = false } = {}) {
  leave()
  const room = rooms.current
  const url = new URL(`ws/chat/${encodeURIComponent(room)}`, location.origin)
  url.protocol = url.protocol.replace('http', 'ws')
  const people = new People({
    joined: (who) => who !== name && conversation.notice(`${who} joined`),
    left: (who) => who !== name && conversation.notice(`${who} left`),
    changed: () => showPeople(),
  })
  visit = { name, room, people, socket: new RoomSocket(url.href, name), byHand }
  conversation.clear()
  follow(visit)
  $('chat').hidden = false
  showRoom()
  showNotice('')
  showMe(name)
  showPeople()
  showState(visit.socket.state)
  $('text').focus()
}

/** @param {NonNullable<typeof visit>} entered the visit to listen to; only the current visit is shown */
function follow(entered) {
  const on = (type, then) =>
    entered.socket.addEventListener(type, ({ detail }) => {
      if (entered === visit) then(detail)
    })
  on('state', ({ state, delay }) => {
    if (state === 'waiting') entered.wasAway ||= delay > 0 // without a delay the gateway only moves its sessions
    showState(state, delay)
  })
  on('resumed', () => {
    if (entered.wasAway) conversation.notice('You are back, and missed nothing.')
    entered.wasAway = false
  })
  on('lost', () => {
    if (entered.id) conversation.notice('You were away for too long. Messages of others are missing here.')
    entered.id = undefined
    entered.people.lose()
  })
  on('frame', (frame) => receive(entered, frame))
  on('slow', ({ seconds, joining }) =>
    showNotice(
      joining
        ? `One moment: the room lets you in after ${inWords(seconds)}.`
        : `That was quick! Your message goes out by itself in ${inWords(seconds)}.`,
    ),
  )
  on('returned', ({ ref, text, status }) => {
    conversation.drop({ name: entered.name, ref })
    $('text').value = [text, $('text').value].filter(Boolean).join('\n')
    showNotice(
      status === 400
        ? 'This message cannot be sent as it is: it may have 2,000 characters.'
        : 'That did not go out: the server has a problem. Please try again.',
    )
  })
  on('refused', ({ status }) =>
    openDoor(
      status === 400
        ? 'Please choose another name, of 1 to 32 characters.'
        : 'The room does not let you in right now. Please try again.',
    ),
  )
}

function receive(entered, frame) {
  const { people, name } = entered
  switch (frame.type) {
    case 'welcome':
      return welcome(entered, frame)
    case 'joined':
      return people.add(frame)
    case 'left':
      return people.remove(frame)
    case 'said':
      if (frame.id === entered.id) showNotice('')
      else people.add(frame, { news: false })
      conversation.message({ ...frame, own: frame.name === name })
      return countUnread(unread + 1)
    default:
      conversation.notice(String(frame.text ?? ''), 'announcement')
      countUnread(unread + 1)
  }
}

function welcome(entered, { id, people }) {
  const others = (people ?? []).filter((person) => person.id !== id)
  const twin = entered.byHand && others.some((person) => person.name === entered.name)
  entered.id = id
  entered.people.welcome([...others, { id, name: entered.name }])
  $('people-unknown').hidden = people !== null
  showNotice('')
  conversation.notice(
    entered.wasIn ? 'You are back.' : greeting(entered, people && others.map((person) => person.name)),
  )
  if (twin)
    conversation.notice(
      `Somebody called ${entered.name} is already here. If that is not you in another window, choose another name.`,
    )
  entered.wasIn = true
  entered.wasAway = false
  entered.byHand = false
}

function greeting({ room, name }, others) {
  if (others === null) return `You are in ${room}.`
  const names = [...new Set(others)].filter((other) => other !== name)
  if (names.length === 0) return `You are in ${room}, the first one. Send a friend the link of this page.`
  if (names.length > 5) return `You are in ${room}, with ${names.length} others.`
  return `You are in ${room}, with ${new Intl.ListFormat('en').format(names)}.`
}

function say(text) {
  if (!visit || !text) return
  const ref = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`
  if (!visit.socket.say(ref, text))
    return showNotice('Ten messages are waiting already. This one stays here until they are sent.')
  conversation.message({ name: visit.name, text, ref, own: true }, { pending: true })
  $('text').value = ''
}

function showRoom() {
  rooms.show()
  $('door-room').textContent = rooms.current
  $('room-title').textContent = rooms.current
  countUnread(0)
}

function showMe(name) {
  const words = document.createElement('bdi')
  words.textContent = name
  $('me').replaceChildren(avatar(name), words)
  $('me').setAttribute('aria-label', `You are ${name}. Change your name`)
}

function showPeople() {
  if (!visit) return
  const { people, name } = visit
  const list = people.list
  $('people-count').textContent = String(list.filter(({ here }) => here).length || '')
  $('people').replaceChildren(
    ...list.map((person) => {
      const item = document.createElement('li')
      item.className = person.here ? 'person' : 'person away'
      const words = document.createElement('bdi')
      words.textContent = person.name
      const more = document.createElement('span')
      more.className = 'hint'
      more.textContent = [person.name === name && 'you', person.tabs > 1 && `${person.tabs} tabs`]
        .filter(Boolean)
        .join(', ')
      item.append(avatar(person.name), words, more)
      return item
    }),
  )
}

function showState(state, delay = 0) {
  const label = $('state')
  label.dataset.state = state
  label.textContent = { open: 'connected', waiting: 'reconnecting' }[state] ?? state
  const texts = {
    connecting: visit?.wasAway && 'No connection. Trying now…',
    waiting: `No connection. Next try in ${inWords(delay / 1000)}.`,
    closed: 'The server has ended this connection.',
  }
  $('banner').hidden = !texts[state]
  $('banner-text').textContent = texts[state] || ''
  $('banner').style.setProperty('--delay', `${delay}ms`)
  $('banner').dataset.state = state
  $('try-now').hidden = state === 'connecting'
}

function showNotice(text) {
  $('notice').textContent = text
}

/** Counts messages that arrive while the page is hidden, and shows the number in the title. @param {number} count */
function countUnread(count) {
  unread = document.hidden ? count : 0
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${rooms.current} – chat on framegate`
}

function inWords(seconds) {
  const whole = Math.max(1, Math.ceil(seconds))
  return whole === 1 ? 'a second' : `${whole} seconds`
}
