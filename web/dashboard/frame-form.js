/** The form that sends one frame: text, JSON or a file. */

import { byteLength } from '../shared/bytes.js'
import { Refused } from './api.js'
import { setText, stamp } from './element.js'

/**
 * @param {HTMLFormElement} form an empty form, which is filled
 * @param {(frame: { body: BodyInit, type: string }) => Promise<string>} send resolves with a sentence about the outcome
 */
export function frameForm(form, send) {
  form.append(stamp('frame-template'))
  const show = () => {
    for (const part of form.querySelectorAll('[data-kinds]'))
      part.hidden = !part.dataset.kinds.split(' ').includes(form.elements.kind.value)
    showOutcome(form, '')
  }
  form.addEventListener('change', ({ target }) => {
    if (target.name === 'kind') show()
  })
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
  })
  submitting(form, async () => send(frameOf(form)))
}

/**
 * Lets a form submit once at a time, and shows the outcome.
 * @param {HTMLFormElement} form has an element .outcome
 * @param {() => Promise<string>} act resolves with a sentence, or rejects with the error to show
 */
export function submitting(form, act) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (form.ariaBusy === 'true') return
    form.ariaBusy = 'true'
    try {
      showOutcome(form, await act())
    } catch (error) {
      showOutcome(form, error instanceof Refused ? `${error.status}: ${error.message}` : error.message, true)
    }
    form.ariaBusy = 'false'
  })
}

function showOutcome(form, text, isProblem = false) {
  const outcome = form.querySelector('.outcome')
  outcome.classList.toggle('problem', isProblem)
  setText(outcome, text)
}

function frameOf({ elements }) {
  const kind = elements.kind.value
  if (kind === 'file') {
    const [file] = elements.file.files
    if (!file) throw new Error('not sent: choose a file first')
    return { body: file, type: 'application/octet-stream', size: file.size }
  }
  const text = elements.text.value
  if (kind === 'json') checkJson(text)
  return {
    body: text,
    type: kind === 'json' ? 'application/json' : 'text/plain; charset=utf-8',
    size: byteLength(text),
  }
}

/** Checks only: the text is sent as it was typed. */
function checkJson(text) {
  try {
    JSON.parse(text)
  } catch (error) {
    throw new Error(`not sent: this is not JSON (${error.message})`)
  }
}
