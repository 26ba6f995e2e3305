#!/bin/sh
# Installs what framegate needs and does not find: setup.sh [--dev | --test]. --dev adds the npm packages for development,
# --test also the Debian packages of the tests. npm runs it before start, dev and test, so it must not need any npm package.
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

# npm puts the commands of packages first in PATH. One of them is a Node that npm ci is about to replace.
machine_path() {
  printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -sd ':' -
}

check_node() {
  version=$(node --version 2>/dev/null) || die "Node is missing: install Node $oldest_node or newer"
  major=${version#v}
  [ "${major%%.*}" -ge "$oldest_node" ] || die "Node $version is too old: install Node $oldest_node or newer"
}

# `start` needs a Node that is new enough. If the machine has one, nothing is downloaded.
runs_framegate() { # NODE
  "$1" cli/node-version.js 2>/dev/null
}

npm_packages_are_there() {
  [ -x node_modules/.bin/node ] && runs_framegate node_modules/.bin/node &&
    [ -e node_modules/.package-lock.json ] &&
    [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ] &&
    { [ -z "$all" ] || [ -x node_modules/.bin/tsc ]; }
}

npm_quietly() {
  log=$(npm "$@" --no-audit --no-fund 2>&1) || {
    reason=$(printf '%s\n' "$log" | sed -n 's/^npm error //p' | head -n 3 | paste -sd ' ' -)
    die "npm $1 failed ($reason): fix that, then run again"
  }
}

install_npm_packages() {
  if [ -n "$all" ]; then
    say 'installing the npm packages for development (400 MB)'
    npm_quietly ci --include=dev --include=optional
  elif runs_framegate node; then
    say 'installing the npm packages (22 MB)'
    npm_quietly ci --omit=dev --omit=optional
    mkdir -p node_modules/.bin
    ln -sf "$(command -v node)" node_modules/.bin/node
  else
    say "installing the npm packages (22 MB) and a newer Node than $version (190 MB)"
    npm_quietly ci --omit=dev --include=optional
  fi
  node_modules/.bin/node --version >/dev/null 2>&1 || npm_quietly rebuild node --ignore-scripts=false
  node_modules/.bin/node --version >/dev/null 2>&1 || die 'the npm package node does not run here: see its releases for this machine'
  say 'installed'
}

PATH=$(machine_path)
all=${1:-}
check_node
if [ "$all" = --test ]; then
  sh setup/packages.sh --test
else
  sh setup/packages.sh
fi
sh setup/vendor.sh
npm_packages_are_there || install_npm_packages
