/** Reads and writes the fragment of the address, which names what is shown: `#/connections`, `#/connections/ID`, `#/topics/NAME`, `#/closes/ID`. */

/** @typedef {'connections' | 'topics' | 'closes'} View */
/** @typedef {{ view: View, name?: string }} Route */

const VIEWS = ['connections', 'topics', 'closes']

/** @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [view, name] = hash.replace(/^#\/?/, '').split('/')
  return { view: VIEWS.includes(view) ? view : 'connections', name: name ? decode(name) : undefined }
}

/** @param {View} view @param {string} [name] */
export function routeTo(view, name) {
  return name === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(name)}`
}

function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
