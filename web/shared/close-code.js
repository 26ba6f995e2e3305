/** What a close code means, in words. https://www.iana.org/assignments/websocket/#close-code-number */

const meanings = new Map([
  [1000, ['normal', 'The work is done.']],
  [1001, ['going away', 'The server is stopping, or the page is being left.']],
  [1002, ['protocol error', 'A frame broke the rules of the protocol.']],
  [1003, ['not accepted', 'The other side does not accept this type of frame.']],
  [1005, ['no code', 'The close frame had no code.']],
  [1006, ['no close frame', 'The connection ended without a goodbye: the network broke, or a process was killed.']],
  [1007, ['not UTF-8', 'A text frame held bytes that are not text.']],
  [1008, ['policy', 'The frame or the connection is against a rule of the server.']],
  [1009, ['too big', 'The message was larger than the gateway accepts.']],
  [1010, ['extension missing', 'The server lacks an extension that the client needs.']],
  [1011, ['server error', 'The server met an unexpected condition.']],
  [1012, ['restart', 'The server restarts; connect again.']],
  [1013, ['try later', 'The server is overloaded; connect again later.']],
  [1014, ['bad gateway', 'A server behind the gateway did not answer properly.']],
  [1015, ['TLS failed', 'No secure connection could be made.']],
])

const refused = [
  'no connection',
  'The handshake was refused, or nobody answered. Browsers do not tell pages which of the two.',
]

/**
 * @param {number} code
 * @param {{ opened: boolean }} connection whether it had been open before
 * @returns {{ name: string, meaning: string }}
 */
export function explain(code, { opened }) {
  const [name, meaning] = code === 1006 && !opened ? refused : (meanings.get(code) ?? byRange(code))
  return { name, meaning }
}

function byRange(code) {
  if (code >= 4000) return ['application', 'A code of the application itself.']
  if (code >= 3000) return ['registered', 'A code of a library or a framework.']
  return ['unknown', 'A code without a known meaning.']
}
