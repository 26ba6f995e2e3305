#!/usr/bin/env node
// The command `framegate`, by a name that npm can link.
import './node-version.js'

await import('./framegate.ts')
