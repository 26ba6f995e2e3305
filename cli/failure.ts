// Problems that a command expects and shows to its user.

/** An expected problem. The command prints its message, one or more lines, and exits with status 1. */
export class Failure extends Error {}

/** A wrong command line. The command exits with status 2. */
export class UsageError extends Failure {}
