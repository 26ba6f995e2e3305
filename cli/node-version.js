// Ends the process when this Node is too old for framegate: plain JavaScript, which every Node reads.
import { readFileSync } from 'node:fs'

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const needed = engines.node.replace('>=', '')
const [major, minor] = process.versions.node.split('.').map(Number)
const [neededMajor, neededMinor] = needed.split('.').map(Number)

if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  console.error(
    `framegate: Node ${process.version} is too old: expected ${needed} or newer, such as the one that npm start brings (node_modules/.bin/node)`,
  )
  process.exit(1)
}
