/** Whether npm failed because there is no network: a test that needs it is skipped then. */
const SIGNS = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b/

export function isOffline(error: unknown): boolean {
  return SIGNS.test(String((error as { stderr?: string }).stderr))
}
