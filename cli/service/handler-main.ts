// The shipped handler alone, as in its container.
// This process keeps it running, and replaces it after an edit unless WATCH is off.
import { accessSync, constants } from 'node:fs'
import { project, watchesHandler } from '../environment.ts'
import { Failure } from '../failure.ts'
import { foreground, info } from './foreground.ts'
import { HandlerProcess, handlerCommand } from './handler-process.ts'

await foreground(async (stop) => {
  checkReadable(`${project}/handler/server.ts`)
  const handler = new HandlerProcess({
    command: handlerCommand(process.env),
    watches: watchesHandler(process.env, true),
    info,
  })
  await Promise.race([handler.start(), stop.requested])
  await stop.requested
  await Promise.race([handler.stop(), stop.requestedAgain])
  await handler.stop([])
})

/** In its container the folder is the machine's, whose umask may have closed it. */
function checkReadable(file: string): void {
  try {
    accessSync(file, constants.R_OK)
  } catch {
    throw new Failure(`user ${process.getuid!()} cannot read ${file}: run chmod -R a+rX handler in framegate's folder`)
  }
}
