// A chat in Nest: each event of a socket is a POST to one method.
import { BadRequestException, Controller, Param, Post, Query, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { Reply, readEvent } from 'framegate/events'

@Controller('ws')
export class ChatController {
  @Post('chat/:room')
  async event(
    @Param('room') room: string,
    @Query('name') name: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const event = await readEvent(request)
    const reply = new Reply(event)
    const topic = `chat:${room}`
    if (event.type === 'open') {
      if (!name) throw new BadRequestException('expected ?name=')
      reply.user = name
      reply.subscribe(topic)
    }
    if (event.type === 'message') reply.publish(topic, `${name}: ${event.frame}`)
    if (event.type === 'close') reply.publish(topic, `${name} left`)
    reply.writeTo(response)
  }
}
