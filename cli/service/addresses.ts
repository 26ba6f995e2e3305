// The lines that a start prints: which part listens where.
import { isDemoSite, publicPorts, type Settings } from './nginx.ts'

/**
 * A line for each part of a gateway.
 * @param isShipped whether framegate started the handler
 */
export function addressLines(settings: Settings, isShipped: boolean): string[] {
  const { SOCKET_PATH, HANDLER_URL, SITE_URL, CONTROL_SOCKET } = settings
  const all = (scheme: string, path: string): string =>
    publicPorts(settings)
      .map(({ port, secure }) => `${scheme}${secure}://localhost:${port}${path}`)
      .join(', ')
  return [
    `gateway    ${all('http', '/')}`,
    `sockets    ${all('ws', SOCKET_PATH)}`,
    `handler    ${HANDLER_URL.join(', ')}${isShipped ? ' (handler/, started by framegate)' : ''}`,
    `site       ${isDemoSite(settings) ? 'the demo site (SITE_URL names another)' : SITE_URL}`,
    `control    ${CONTROL_SOCKET}`,
    `dashboard  ${dashboard(settings)}`,
  ]
}

function dashboard({ CONTROL_PORT }: Settings): string {
  if (CONTROL_PORT === 'off') return 'off (CONTROL_PORT and CONTROL_TOKEN turn it on)'
  return `http://${CONTROL_PORT.replace(/^(?=\d+$)/, 'localhost:')}/ (CONTROL_TOKEN is the password)`
}
