/** Whether this machine can be reached over IPv6 by itself. */
import { networkInterfaces } from 'node:os'

export const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1')

/** The option `skip` of a test that needs IPv6. */
export const skipWithoutIPv6 = hasIPv6 ? false : 'this machine has no ::1'
