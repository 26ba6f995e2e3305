// @ts-check
/** Where to dial: a URL and protocols, or functions that are called for each dial. */

/** @import { Protocols } from './interface.js' */

/** @typedef {string | URL} Url */
/** @typedef {[url: Url | (() => Url | Promise<Url>), protocols: Protocols | (() => Protocols | Promise<Protocols>)]} Address */

/**
 * Calls `open` before it returns, unless a part of the address is a function.
 * @param {Address} address
 * @param {(url: any, protocols: any) => void} open
 * @param {(error: unknown) => void} fail is called with what a function threw
 */
export function ask(address, open, fail) {
  if (address.some(isFunction)) call(address, open, fail)
  else open(...address)
}

/** @type {typeof ask} */
async function call(address, open, fail) {
  try {
    await undefined // The functions may use what the constructor returns.
    open(.../** @type {[any, any]} */ (await Promise.all(address.map((part) => (isFunction(part) ? part() : part)))))
  } catch (error) {
    fail(error)
  }
}

/** @param {unknown} part @returns {part is () => any} */
const isFunction = (part) => typeof part === 'function'
