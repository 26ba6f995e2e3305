// The shipped handler by itself, as in its container: kept running, and started again after an edit.
import { project } from '../environment.ts'
import { foreground, say } from './foreground.ts'
import { Handler, handlerCommand } from './handler-process.ts'

await foreground(async (stop) => {
  const handler = new Handler({ command: handlerCommand(project, process.env), folder: `${project}/handler`, say })
  await Promise.race([handler.start(), stop.asked])
  await stop.asked
  await Promise.race([handler.stop(), stop.askedAgain])
  await handler.stop([])
})
