// A path of Fastify as the address of a channel: `/ws/chat/:room(^\\d+)` is `/ws/chat/{room}`.

export interface ChannelPath {
  address: string
  /** The names of its parameters; that of `*` is `wildcard`. */
  parameters: string[]
  /** A name for the channel, of letters, digits, dots and `-`. */
  id: string
}

const NAME = /^[^-./(?]*/

/** Reads a path as find-my-way does: a name ends at `/`, `-` or `.`, or at its pattern in parentheses. */
export function channelPath(path: string): ChannelPath {
  let address = ''
  const parameters: string[] = []
  for (let at = 0; at < path.length; ) {
    const isDouble = path.startsWith('::', at) // a colon that is no parameter
    if (isDouble || (path[at] !== ':' && path[at] !== '*')) {
      address += path[at]
      at += isDouble ? 2 : 1
      continue
    }
    const name = path[at] === '*' ? 'wildcard' : NAME.exec(path.slice(at + 1))![0]
    at += path[at] === '*' ? 1 : name.length + 1
    at = path[at] === '(' ? endOfPattern(path, at) : at
    if (path[at] === '?') at++
    parameters.push(name)
    address += `{${name}}`
  }
  const id = address.replace(/[^\w-]+/g, '.').replace(/^\.|\.$/g, '') || 'root'
  return { address, parameters, id }
}

function endOfPattern(path: string, start: number): number {
  let open = 0
  for (let at = start; at < path.length; at++) {
    if (path[at] === '\\') at++
    else if (path[at] === '(') open++
    else if (path[at] === ')' && --open === 0) return at + 1
  }
  return path.length
}
