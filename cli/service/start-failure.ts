// Finds out why a Node program did not start, from its standard error.
import { project } from '../environment.ts'

export type StartFailure = {
  /** One line: a place in the project and the error's message; undefined when none is found. */
  reason: string | undefined
  /** What else it wrote. */
  rest: string
}

/** The lines in which Node reports an error that nobody caught: the place, the code, the error, its stack. */
const REPORT = /^(?:file:\/\/)?(?:\/|node:)\S+:\d+\n[^]*?^Node\.js v.*$/m
const ERROR = /^(\w*Error)(?: \[\w+\])?: (.*)$/m
const OWN_LINE = /^handler: (.*)$/m

/** @param text the whole of its standard error */
export function explainStart(text: string): StartFailure {
  const report = REPORT.exec(text)?.[0]
  const [, name, message] = (report && ERROR.exec(report)) || []
  if (report && message) {
    const place = placeIn(report)
    const reason = `${place ? `${place}: ` : ''}${message.replaceAll('file://', '').replaceAll(`${project}/`, '')}`
    return { reason, rest: (name === 'SyntaxError' ? text.replace(report, '') : text).trim() } // its stack is Node's own
  }
  const line = OWN_LINE.exec(text)
  return { reason: line?.[1], rest: line ? text.replace(line[0], '').trim() : text.trim() }
}

/** The first file and line of the project in a report of Node. */
function placeIn(report: string): string | undefined {
  const places = [...report.matchAll(/(?:file:\/\/)?(\/[^\s:()]+):(\d+)(?=[:)\n])/g)]
  const own = places.find(([, file]) => file!.startsWith(`${project}/`) && !file!.includes('/node_modules/'))
  return own && `${own[1]!.slice(project.length + 1)}:${own[2]}`
}
