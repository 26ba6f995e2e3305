// Addresses: where a bridge listens, and who a device is.
import { isIPv4, isIPv6 } from 'node:net'
import { Failure } from '../failure.ts'

/** A port of one address of this machine, or of all of them. */
export type Listen = { port: number; host?: string | undefined }

/** Reads `9000`, `127.0.0.1:9000` or `[::1]:9000`; undefined for any other text. */
export function readListen(text: string): Listen | undefined {
  const [, v4, v6, digits] = /^(?:([\d.]+):|\[([\da-f:.]+)\]:)?(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port < 1 || port > 65535) return undefined
  if ((v4 && !isIPv4(v4)) || (v6 && !isIPv6(v6))) return undefined
  return { port, host: v4 ?? v6 }
}

/** The address alone, as X-Forwarded-For has it: an IPv4 address that came over an IPv6 socket, without its prefix and zone. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '')
}

/** Waits until something listens. @throws {Failure} that names the option */
export async function listening(option: string, { port }: Listen, ready: Promise<unknown>): Promise<void> {
  try {
    await ready
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE' ? 'is in use: stop the program that listens there' : `cannot be opened (${message})`
    throw new Failure(`${option}: port ${port} ${reason}, or choose another`, { cause: error })
  }
}
