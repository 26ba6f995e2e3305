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
