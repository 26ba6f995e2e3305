/** Makes elements without parsing HTML, so that names chosen by strangers stay text. */

/**
 * @param {string} name
 * @param {Record<string, string | boolean | undefined>} [attributes] undefined and false leave an attribute out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** The element with this id, which must exist. @param {string} id @returns {any} */
export function $(id) {
  return document.getElementById(id)
}

/** A copy of a template's content. @param {string} id @returns {DocumentFragment} */
export function stamp(id) {
  return $(id).content.cloneNode(true)
}

/** Changes a text only when it differs: that keeps a selection in it, and does not disturb screen readers. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Shows the rows of a table. Existing rows stay, in the order of `rows`.
 * @param {HTMLTableSectionElement} body
 * @param {Array<{ key: string, cells: Array<[text: string, style?: string]>, isMuted?: boolean }>} rows
 */
export function fillRows(body, rows) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]))
  const elements = rows.map(({ key, cells, isMuted = false }) => {
    const row = known.get(key) ?? h('tr', { 'data-key': key }, ...cells.map(([, style]) => h('td', { class: style })))
    cells.forEach(([text], i) => setText(row.cells[i], text))
    row.toggleAttribute('data-muted', isMuted)
    return row
  })
  if (elements.length !== known.size || elements.some((row, i) => body.rows[i] !== row))
    body.replaceChildren(...elements)
}

/** Shows a list of terms and values. Existing elements stay. @param {HTMLElement} list @param {Array<[string, string, string?]>} facts term, value, and a class for the value */
export function fillFacts(list, facts) {
  const known = new Map([...list.children].map((row) => [row.dataset.term, row]))
  const rows = facts.map(([term, text, style]) => {
    const row =
      known.get(term) ?? h('div', { 'data-term': term }, h('dt', {}, term), h('dd', {}, h('bdi', { class: style })))
    setText(row.querySelector('bdi'), text)
    return row
  })
  if (rows.length !== list.children.length || rows.some((row, i) => list.children[i] !== row))
    list.replaceChildren(...rows)
}
