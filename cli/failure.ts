/** An expected problem: its message is shown to the user, a line for each line, with exit status 1. */
export class Failure extends Error {}

/** A wrong command line: exit status 2. */
export class UsageError extends Failure {}
