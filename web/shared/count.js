/** Numbers of things, as people read them: `1 frame`, `2,000 frames`. */

const whole = new Intl.NumberFormat('en')

/** @param {number} amount @param {string} one @param {string} [many] @returns {string} */
export function counted(amount, one, many = `${one}s`) {
  return `${whole.format(amount)} ${amount === 1 ? one : many}`
}
