/** Whether npm failed because there is no network, or no registry that answers: a test that needs it is skipped then. */
const SIGNS =
  /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EIDLETIMEOUT|ERR_SOCKET_TIMEOUT|E429|E50[0-4])\b/

export function isOffline(error: unknown): boolean {
  return SIGNS.test(String((error as { stderr?: string }).stderr))
}
