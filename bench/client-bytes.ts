/** The bytes that the bench's clients write, made once (RFC 6455 sections 4.1 and 5.2). */

/** 64 bytes of text. */
export const PAYLOAD = Buffer.from('The quick brown fox jumps over the lazy dog, again and again: 64')

/** A handshake with these header lines besides its own. */
export function handshakeOf(path: string, more: string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...more,
    '',
    '',
  ].join('\r\n')
}

export const HANDSHAKE = handshakeOf('/ws/echo')

const MASK = [0x12, 0x34, 0x56, 0x78]

/** The payload as a masked text frame. */
export function textFrame(): Buffer {
  return Buffer.from([0x81, 0x80 | PAYLOAD.length, ...MASK, ...PAYLOAD.map((byte, i) => byte ^ MASK[i % 4]!)])
}

/** A pong without payload. */
export const PONG = Buffer.from([0x8a, 0x80, ...MASK])
