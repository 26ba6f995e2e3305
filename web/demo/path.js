/** The paths that the shipped handler answers, and what to send there. */

const echo = {
  about: 'Answers with the same bytes',
  samples: [
    { label: 'Greeting', kind: 'text', text: 'Hello, gate!' },
    { label: 'Many scripts', kind: 'text', text: 'Grüße, γειά σου, こんにちは, שלום 👋' },
  ],
}

const time = {
  about: 'JSON that fits a schema',
  samples: [
    { label: 'Time in Berlin', kind: 'json', text: '{ "zone": "Europe/Berlin" }' },
    { label: 'Bad frame', kind: 'json', text: '{ "zone": { "not": "a name" } }' },
  ],
}

const form = {
  about: 'Fields as HTML forms send them',
  samples: [
    { label: 'Two fields', kind: 'text', text: 'name=Ada&topic=frames' },
    { label: 'With spaces', kind: 'text', text: 'name=Ada+Lovelace&topic=bread+%26+butter' },
  ],
}

const other = { about: 'A path of your own', samples: echo.samples }

const known = new Map([
  ['/ws/echo', echo],
  ['/ws/time', time],
  ['/ws/form', form],
])

/** @param {string} path */
export function describePath(path) {
  return known.get(path.split('?')[0]) ?? other
}
