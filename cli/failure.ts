/** What keeps framegate from running, told to the user in one line. Without a text it was told already. */
export class Failure extends Error {}
