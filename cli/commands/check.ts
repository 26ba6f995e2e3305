// The command `check`: prints the findings about the configuration and the running parts.
import { Command } from 'commander'
import { needProject, readEnvironment, runDirectory } from '../environment.ts'
import { Failure } from '../failure.ts'
import { type Finding, findings } from '../service/checks.ts'
import { askSupervisor } from '../service/supervisor-socket.ts'
import { show } from './output.ts'

export const check = new Command('check')
  .summary('Checks the configuration, and whether the gateway, its handler and its site answer.')
  .description(
    "Checks variables, nginx's configuration and Lua, and whether control socket, handler and site answer. " +
      'A running gateway does the check itself, with the variables that a reload would use. ' +
      'The exit status is 1 when a check fails.',
  )
  .option('--json', 'print JSON')
  .action(async (options: { json?: boolean }) => {
    const env = readEnvironment(process.env)
    const run = runDirectory(env)
    const answer = await askSupervisor<Finding[]>(run, 'POST', '/check')
    if (!answer) needProject()
    const found = answer?.value ?? (await findings(run, { ...env, PATH: `${env.PATH ?? ''}:/usr/sbin:/sbin` }, false))
    show(options, found, (all) => all.map(line).join('\n'))
    const failed = found.filter(({ isWell }) => !isWell).length
    if (failed > 0) throw new Failure(`${failed} of ${found.length} checks failed`)
  })

function line({ what, isWell, text }: Finding): string {
  return `${isWell ? 'ok   ' : 'WRONG'}  ${what.padEnd(13)}  ${text.replaceAll('\n', '; ')}`
}
