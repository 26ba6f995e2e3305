#!/usr/bin/env node
// The command `framegate`, by a name that npm can link.
await import('./framegate.ts')
