#!/bin/sh
# npm test: npm run check, Lua's unit tests, then Node's tests, whose summary comes last.
# npm test -- FILE...: only these, *_spec.lua or *.test.ts, or other arguments of node --test.
set -eu
cd "$(dirname -- "$0")/.."

export PATH="$PWD/node_modules/.bin:$PATH"
export LUA_PATH='lua/?.lua;lua/vendor/?.lua;test/lua/?.lua;;'
failed=

part() { # NAME COMMAND...
  name=$1
  shift
  printf -- '-- %s\n' "$name"
  "$@" || failed="$failed $name"
}

lua_tests() {
  part busted busted --lua=luajit "$@"
}

# Files run one at a time: the gateway's tests measure times, which other tests would disturb.
# --test-force-exit ends a file whose tests leave something open.
node_tests() {
  part node node --test --test-concurrency=1 --test-timeout=300000 --test-force-exit "$@"
}

if [ $# = 0 ]; then
  part check sh test/check.sh
  lua_tests test/lua
  node_tests 'test/**/*.test.ts'
else
  case $* in
    *.lua*) lua_tests "$@" ;;
    *) node_tests "$@" ;;
  esac
fi

if [ -n "$failed" ]; then
  printf 'failed:%s\n' "$failed" >&2
  exit 1
fi
