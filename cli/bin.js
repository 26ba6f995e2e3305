#!/usr/bin/env node
// A checkout and the image run the source as it is; the npm package has only what was compiled from it.
import { existsSync } from 'node:fs'

const source = new URL('framegate.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/cli/framegate.js', import.meta.url).href)
