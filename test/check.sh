#!/bin/sh
# npm run check: linters, formatters and the compiler, over everything.
set -eu
cd "$(dirname -- "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

luacheck --quiet lua test/lua bench
node setup/format-lua.ts --check lua test/lua bench
biome ci --error-on-warnings --log-level=warn .
tsc --noEmit
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
