#!/bin/sh
# The entry point of the gateway's container: checks the environment, starts nginx, and passes signals on to it. nginx alone
# would break all sockets at SIGTERM: here that begins a graceful end, which has its time (STOP_SECONDS and 5 s).
set -eu
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
run=$project/run
nginx=
timer=

# shellcheck disable=SC2317 # a trap calls it
stop() {
  trap '' TERM QUIT INT
  [ -n "$nginx" ] || exit 0
  kill -s QUIT "$nginx"
  (
    sleep "$grace"
    kill -s TERM "$nginx"
  ) >/dev/null 2>&1 &
  timer=$!
}

trap stop TERM QUIT INT
trap '[ -z "$nginx" ] || kill -s HUP "$nginx"' HUP
trap '[ -z "$nginx" ] || kill -s USR1 "$nginx"' USR1

rm -f "$run"/control/*.sock "$run"/internal/*.sock # a killed nginx leaves them, which blocks the next
lua5.1 "$project/lua/configure.lua" "$project" "$run"
grace=$(lua5.1 -e 'print(require("cjson").decode(io.read("*a")).STOP_SECONDS + 5)' <"$run/settings.json")

# nginx takes NGINX for the numbers of sockets that it inherits.
env -u NGINX "${NGINX:-nginx}" -e stderr -p "$run/" -c nginx/nginx.conf -g 'daemon off;' &
nginx=$!
status=0
# A signal ends `wait` before nginx has ended.
while kill -s 0 "$nginx" 2>/dev/null; do
  status=0
  wait "$nginx" || status=$?
done
if [ -n "$timer" ]; then
  kill "$timer" 2>/dev/null || true
  exit 0
fi
exit "$status"
