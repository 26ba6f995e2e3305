/** A gateway whose control server has a port, and its dashboard in a browser that knows the token. */
import type { TestContext } from 'node:test'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { pushGateway } from '../support/push-gateway.ts'
import { type OpenedPage, openPage } from './browser.ts'

export const TOKEN = 'a-token-of-some-length'

/** For what the page shows, in ms: after an answer that took 2 s, as on a busy machine, it asks again after 40 s. */
export const PATIENCE = 60_000

export type DashboardGateway = Gateway & { control: string }

/** `env` may name the ports of a gateway that was there before. */
export async function startDashboard(t: TestContext, env: Record<string, string> = {}): Promise<DashboardGateway> {
  const { CONTROL_PORT = `127.0.0.1:${await freePort()}` } = env
  const gateway = await pushGateway(t, { CONTROL_TOKEN: TOKEN, ...env, CONTROL_PORT })
  return Object.assign(gateway, { control: `http://${CONTROL_PORT}/` })
}

/** The browser is asked for the token when it first comes, as a person would be. */
export async function openDashboard(
  t: TestContext,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const opened = await openPage(t, browser, url, {
    httpCredentials: { username: 'anybody', password: TOKEN },
    ...options,
  })
  opened.page.setDefaultTimeout(PATIENCE)
  await shows(opened.page.locator('#state'), 'live')
  return opened
}

/** Waits until one of the elements holds all of these texts. */
export async function shows(locator: Locator, ...texts: (string | RegExp)[]): Promise<void> {
  await texts
    .reduce((found, hasText) => found.filter({ hasText }), locator)
    .first()
    .waitFor()
}

export const rows = (page: Page): Locator => page.locator('.list tbody tr')
export const fact = (page: Page, term: string): Locator => page.locator(`[data-facts] [data-term="${term}"] dd`)

export async function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}
