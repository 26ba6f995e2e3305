#!/bin/sh
# The entry point of the gateway's container: checks the environment, then becomes nginx.
set -eu
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
run=$project/run
rm -f "$run"/control/*.sock "$run"/internal/*.sock # a killed nginx leaves them, which blocks the next
lua5.1 "$project/lua/configure.lua" "$project" "$run"
exec nginx -p "$run/" -c nginx/nginx.conf -g 'daemon off;'
