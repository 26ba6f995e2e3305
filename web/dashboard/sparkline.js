/** A small chart without axes: the history of one number. */

const SVG = 'http://www.w3.org/2000/svg'
const HEIGHT = 32
const FEWEST = 30 // Fewer values do not fill the width; more of them move closer together.

export class Sparkline {
  #area = document.createElementNS(SVG, 'path')
  #line = document.createElementNS(SVG, 'path')

  constructor() {
    this.element = document.createElementNS(SVG, 'svg')
    this.element.setAttribute('preserveAspectRatio', 'none')
    this.element.setAttribute('aria-hidden', 'true')
    this.element.classList.add('spark')
    this.#area.classList.add('spark-area')
    this.#line.classList.add('spark-line')
    this.element.append(this.#area, this.#line)
  }

  /** @param {(number | null)[]} values the newest last, at the right; null makes a gap */
  show(values) {
    const most = Math.max(...values.map((value) => value ?? 0)) || 1
    const left = Math.max(0, FEWEST - values.length)
    this.element.setAttribute('viewBox', `0 0 ${left + values.length - 1} ${HEIGHT}`)
    const runs = runsOf(
      values.map((value, i) => (value === null ? null : [left + i, HEIGHT - 1.5 - (value / most) * (HEIGHT - 4)])),
    )
    this.#line.setAttribute(
      'd',
      runs.map((run) => `M${run.map(point).join('L')}${run.length === 1 ? 'h0.01' : ''}`).join(''),
    )
    this.#area.setAttribute(
      'd',
      runs.map((run) => `M${run[0][0]},${HEIGHT}L${run.map(point).join('L')}L${run.at(-1)[0]},${HEIGHT}Z`).join(''),
    )
  }
}

function point([x, y]) {
  return `${x},${Math.round(y * 100) / 100}`
}

function runsOf(points) {
  const runs = [[]]
  for (const point of points) {
    if (point) runs.at(-1).push(point)
    else if (runs.at(-1).length > 0) runs.push([])
  }
  return runs.filter((run) => run.length > 0)
}
