/** The texts of answers that are not as RFC 9112 or docs/protocol.md say. */

export const OK = 'HTTP/1.1 200 OK\r\n'
export const HI = 'content-length: 2\r\n\r\nhi'

const STATUS_LINES = [
  'HTTP/1.1 2000 X',
  'HTTP/1.1 000 X',
  'HTTP/1.1 99 X',
  'HTTP/1.1 20 X',
  'HTTP/1.1 -200 X',
  'HTTP/1.1 2.0 X',
  'HTTP/1.1 999 X',
  'HTTP/1.1 600 X',
  'HTTP/1.1 200',
  'HTTP/1.1  200 OK',
  'HTTP/1.0 200 OK',
]

/** What nginx takes for the beginning of a body (HTTP/0.9), which lasts until the connection ends. */
const NO_STATUS_LINES = [
  'HTTP/2 200 OK',
  'HTTP/1.1',
  'ICY 200 OK',
  'http/1.1 200 OK',
  ' HTTP/1.1 200 OK',
  '\r\nHTTP/1.1 200 OK',
]

export const KEPT = STATUS_LINES.map((line) => `${line}\r\n${HI}`)
export const ENDED = [...STATUS_LINES, ...NO_STATUS_LINES].map((line) => `${line}\r\nconnection: close\r\n${HI}`)

export const INTERIM = [
  'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 199 X\r\n\r\n'.repeat(20),
].map((interim) => `${interim}${OK}${HI}`)

export const LENGTHS = [
  `${OK}content-length: 1\r\n\r\nhi`,
  `${OK}content-length: 0\r\n\r\nhi`,
  `${OK}content-length: -1\r\n\r\nhi`,
  `${OK}content-length: abc\r\n\r\nhi`,
  `${OK}content-length: 2, 2\r\n\r\nhi`,
  `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nhi`,
  `${OK}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
  'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\nhi',
]

const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`

export const CHUNKS = [
  `${CHUNKED}zz\r\nhi\r\n0\r\n\r\n`,
  `${CHUNKED}-2\r\nhi\r\n0\r\n\r\n`,
  `${CHUNKED}2\r\nhi0\r\n\r\n`,
  `${CHUNKED}2;a=b\r\nhi\r\n0\r\nx: y\r\n\r\n`,
  `${CHUNKED}0\r\n\r\n${OK}${HI}`,
  `${OK}transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
]

/** What leaves the gateway waiting for more. */
export const UNFINISHED = [
  `${OK}content-length: 99999999999999999999\r\n\r\nhi`,
  `${CHUNKED}ffffffffffffffff\r\nhi\r\n0\r\n\r\n`,
  ...NO_STATUS_LINES.map((line) => `${line}\r\n${HI}`),
  ...['\0\0\0', 'SSH-2.0-x\r\n', '{"ok":true}\n', '<html>\r\n\r\n'],
]

export const HEADERS = [
  'ws-state: %00\r\n',
  'ws-state: %ff%fe\r\n',
  `ws-state: ${'s'.repeat(5000)}\r\n`,
  'ws-close: 1\r\n',
  'ws-close: 1005\r\n',
  'ws-close: 4000\r\nws-close: 4001\r\n',
  `ws-close: 4000 ${'r'.repeat(300)}\r\n`,
  'ws-user: %ff\r\n',
  'ws-alarm: soon\r\n',
  'ws-alarm: -1\r\n',
  `ws-subscribe: ${Array.from({ length: 300 }, (_, i) => `x${i}`).join(',')}\r\n`,
  'ws-subscribe: ,,,\r\n',
  'ws-batch: maybe\r\nws-text: xml\r\n',
  'framegate-connect-time: x\r\nframegate-header-time: y\r\n',
  'content-encoding: gzip\r\n',
  'content-type: application/vnd.framegate.effects+json\r\n',
  'content-type: text/plain\r\ncontent-type: application/octet-stream\r\n',
  'sec-websocket-protocol: never, offered\r\n',
  'sec-websocket-accept: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n',
  'set-cookie: a=b\r\nset-cookie: c=d\r\n',
  'x-accel-redirect: /ws/echo\r\n',
  'x: y\r\n z\r\n',
  ': nameless\r\n',
  'no colon\r\n',
  'nul: a\0b\r\n',
].map((headers) => `${OK}${headers}${HI}`)

export const DOCUMENTS = [
  'no json',
  '{"effects":{}}',
  '{"effects":[null,1,"x",[]]}',
  '{"effects":[{"subscribe":{"1":"t0"}}]}',
  '{"effects":[{"send":{"text":1}}]}',
  '{"effects":[{"send":{"base64":"*"}}]}',
  '{"effects":[{"close":{"code":1e400}}]}',
  '{"effects":[{"close":{"code":"4000"}},{"state":[]},{"user":{}}]}',
  `{"effects":${'['.repeat(2000)}${']'.repeat(2000)}}`,
  '{"effects":[{"publish":{"topic":"","text":"x"}}]}',
].map(
  (body) =>
    `${OK}content-type: application/vnd.framegate.effects+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
)

export const LATER = ['0', '1', '0.2', '-1', 'soon', 'Wed, 21 Oct 2015 07:28:00 GMT'].map(
  (after) => `HTTP/1.1 503 X\r\nretry-after: ${after}\r\ncontent-length: 0\r\n\r\n`,
)
