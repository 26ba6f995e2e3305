/** The unmodified client of AWS' SDK for @connections, with a gateway in place of AWS. */
import type { TestContext } from 'node:test'
import {
  ApiGatewayManagementApiClient,
  type ApiGatewayManagementApiClientConfig,
  DeleteConnectionCommand,
  GetConnectionCommand,
  type GetConnectionCommandOutput,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi'
import { freePort } from './free-port.ts'
import type { Gateway } from './gateway.ts'
import { pushGateway } from './push-gateway.ts'

export const KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
export const TOKEN = 'a-token-for-everything'

export type AwsGateway = { gateway: Gateway; port: number }

/** The variables of a gateway with a control port and a key. */
export function awsEnv(port: number): Record<string, string> {
  return {
    CONTROL_PORT: `127.0.0.1:${port}`,
    CONTROL_TOKEN: TOKEN,
    CONTROL_AWS_KEY_ID: KEY.accessKeyId,
    CONTROL_AWS_SECRET: KEY.secretAccessKey,
  }
}

export async function awsGateway(t: TestContext, env: Record<string, string> = {}): Promise<AwsGateway> {
  const port = await freePort()
  return { gateway: await pushGateway(t, { ...awsEnv(port), ...env }), port }
}

/** One attempt of the SDK, as it is sent. */
export type Attempt = { headers: Record<string, string>; port?: number }

export type AttemptAnswer = { response: { statusCode: number; headers: Record<string, string> } }

/** The SDK, with the three operations of @connections as functions. It tries once, unless `config` has other settings. */
export class Sdk {
  readonly client: ApiGatewayManagementApiClient

  constructor(
    t: TestContext,
    port: number,
    { path = '', ...config }: ApiGatewayManagementApiClientConfig & { path?: string } = {},
  ) {
    this.client = new ApiGatewayManagementApiClient({
      endpoint: `http://127.0.0.1:${port}${path}`,
      region: 'eu-central-1',
      credentials: KEY,
      maxAttempts: 1,
      ...config,
    })
    t.after(() => this.client.destroy())
  }

  /** Puts a function between the SDK and the network: it gets each attempt, and what sends that. */
  carry(by: (attempt: Attempt, send: () => Promise<AttemptAnswer>) => Promise<AttemptAnswer>): void {
    const handler = this.client.config.requestHandler
    const handle = handler.handle.bind(handler)
    handler.handle = ((attempt, options) => by(attempt, () => handle(attempt, options))) as typeof handler.handle
  }

  async post(id: string, data: string | Uint8Array): Promise<void> {
    await this.client.send(new PostToConnectionCommand({ ConnectionId: id, Data: data }))
  }

  get(id: string): Promise<GetConnectionCommandOutput> {
    return this.client.send(new GetConnectionCommand({ ConnectionId: id }))
  }

  async delete(id: string): Promise<number | undefined> {
    return (await this.client.send(new DeleteConnectionCommand({ ConnectionId: id }))).$metadata.httpStatusCode
  }
}
