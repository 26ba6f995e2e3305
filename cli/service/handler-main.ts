// The shipped handler alone, as in its container: it is kept running, and replaced after an edit unless WATCH is off.
import { watchesHandler } from '../environment.ts'
import { foreground, info } from './foreground.ts'
import { HandlerProcess, handlerCommand } from './handler-process.ts'

await foreground(async (stop) => {
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
