#!/bin/sh
# Installs what framegate needs and does not find: setup.sh [--test]; --test adds what the tests need.
# npm start and npm test run it first, so it must not need any npm package itself.
set -eu

oldest_node=20
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$project"

say() {
  printf 'framegate: %s\n' "$*"
}

die() {
  say "$@" >&2
  exit 1
}

# npm puts the packages' own commands first, a Node among them that npm ci is about to replace.
machine_path() {
  printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -sd ':' -
}

check_node() {
  version=$(node --version 2>/dev/null) || die "Node is missing: install Node $oldest_node or newer"
  major=${version#v}
  [ "${major%%.*}" -ge "$oldest_node" ] || die "Node $version is too old: install Node $oldest_node or newer"
}

npm_packages_are_there() {
  [ -x node_modules/.bin/node ] &&
    [ -e node_modules/.package-lock.json ] &&
    [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ]
}

npm_quietly() {
  log=$(npm "$@" --no-audit --no-fund 2>&1) || {
    reason=$(printf '%s\n' "$log" | sed -n 's/^npm error //p' | head -n 3 | paste -sd ' ' -)
    die "npm $1 failed ($reason): fix that, then run again"
  }
}

install_npm_packages() {
  say 'installing the npm packages'
  npm_quietly ci --include=dev
  node_modules/.bin/node --version >/dev/null 2>&1 || npm_quietly rebuild node --ignore-scripts=false
  node_modules/.bin/node --version >/dev/null 2>&1 || die 'the npm package node does not run here: see its releases for this machine'
}

PATH=$(machine_path)
check_node
sh setup/packages.sh "$@"
sh setup/vendor.sh
npm_packages_are_there || install_npm_packages
