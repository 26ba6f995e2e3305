/** The paths of the shipped handler, and samples of what to send there. */

const echo = {
  about: 'Answers with the same bytes',
  answers: true,
  samples: [
    { label: 'Greeting', kind: 'text', text: 'Hello, gate!' },
    { label: 'Many scripts', kind: 'text', text: 'Grüße, γειά σου, こんにちは, שלום 👋' },
  ],
}

const time = {
  about: 'JSON that fits a schema',
  answers: true,
  samples: [
    { label: 'Time in Berlin', kind: 'json', text: '{ "zone": "Europe/Berlin" }' },
    { label: 'Bad frame', kind: 'json', text: '{ "zone": { "not": "a name" } }' },
  ],
}

const form = {
  about: 'Fields as HTML forms send them',
  answers: true,
  samples: [
    { label: 'Two fields', kind: 'text', text: 'name=Ada&topic=frames' },
    { label: 'With spaces', kind: 'text', text: 'name=Ada+Lovelace&topic=bread+%26+butter' },
  ],
}

const other = { about: 'A path of your own', answers: false, samples: echo.samples }

const known = new Map([
  ['/ws/echo', echo],
  ['/ws/time', time],
  ['/ws/form', form],
])

/**
 * @param {string} path
 * @returns {{ about: string, answers: boolean, samples: { label: string, kind: string, text: string }[] }} answers:
 *   whether the handler is known to answer every frame
 */
export function describePath(path) {
  return known.get(path.split('?')[0]) ?? other
}
