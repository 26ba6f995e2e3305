import { needProject, readEnvironment, runDirectory } from '../environment.ts'
import { Failure } from '../failure.ts'
import { type Finding, findings } from '../service/checks.ts'
import { askGateway } from '../service/supervisor-socket.ts'
import { type Command, print } from './command.ts'

const check: Command = {
  usage: '',
  summary:
    "Checks variables, nginx's configuration and Lua, and whether control socket, handler and site answer.\n" +
    'A gateway that runs is asked, with the variables that a reload would take. Exit status 1 when something is wrong.',
  options: { json: { type: 'boolean', help: 'print JSON' } },
  async run({ options }) {
    const env = readEnvironment(process.env)
    const run = runDirectory(env)
    const asked = await askGateway(run, 'POST', '/check')
    if (!asked) needProject()
    const found: Finding[] =
      asked?.value ?? (await findings(run, { ...env, PATH: `${env.PATH ?? ''}:/usr/sbin:/sbin` }, false))
    print(options.json ? JSON.stringify(found) : found.map(line).join('\n'))
    const wrong = found.filter(({ isWell }) => !isWell).length
    if (wrong > 0) throw new Failure(`${wrong} of ${found.length} checks failed`)
  },
}

function line({ what, isWell, text }: Finding): string {
  return `${isWell ? 'ok   ' : 'WRONG'}  ${what.padEnd(13)}  ${text.replaceAll('\n', '; ')}`
}

export const checkCommands: Record<string, Command> = { check }
