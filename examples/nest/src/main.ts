// Starts the application. With rawBody, frames of JSON arrive byte for byte, and other routes still get parsed JSON.
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { AppModule } from './app.module'

async function bootstrap() {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { rawBody: true })
  app.set('trust proxy', true)
  app.useBodyParser('json', { limit: '1mb' })
  await app.listen(9000, '127.0.0.1')
}
void bootstrap()
