/** The fragment of the address names what is shown: `#/connections`, `#/connections/ID`, `#/topics/NAME`. */

/** @typedef {{ view: 'connections' | 'topics', name?: string }} Route */

/** @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [view, name] = hash.replace(/^#\/?/, '').split('/')
  return { view: view === 'topics' ? 'topics' : 'connections', name: name ? decode(name) : undefined }
}

/** @param {'connections' | 'topics'} view @param {string} [name] */
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
