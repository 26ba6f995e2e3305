#!/bin/sh
# Installs the Debian packages that the gateway needs: packages.sh [--test]; --test adds what the tests need.
# It leaves the machine's own nginx service alone: it does not start, stop or reload it, and does not enable a new one.
set -eu

runtime='nginx libnginx-mod-http-lua lua-cjson lua5.1 lua-nginx-dns'

say() {
  printf 'framegate: %s\n' "$*"
}

die() {
  say "$@" >&2
  exit 1
}

missing_packages() {
  there=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) || true
  for package in "$@"; do
    printf '%s\n' "$there" | grep -qx "installed $package" || printf '%s ' "$package"
  done
}

missing_commands() { # COMMAND=PACKAGE...
  for pair in "$@"; do
    command -v "${pair%=*}" >/dev/null || printf '%s ' "${pair#*=}"
  done
}

apt() {
  LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$scratch/log" 2>&1
}

# Bookworm's Lua module needs the library of luajit2, which conflicts with luajit's own. Trixie has only luajit.
luajit_beside() { # PACKAGE...
  for candidate in luajit luajit2; do
    if apt install -s --no-remove --no-install-recommends "$@" "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

choose_luajit() { # PACKAGE...
  luajit_beside "$@" && return
  [ "$(id -u)" != 0 ] || apt update
  luajit_beside "$@" || printf luajit
}

install() { # PACKAGE...
  apt install -y --no-remove --no-install-recommends "$@" ||
    { apt update && apt install -y --no-remove --no-install-recommends "$@"; } ||
    die "apt cannot install $* ($(grep '^E:' "$scratch/log" | head -n 1)): fix that, then run again"
}

installed() {
  [ -z "$(missing_packages "$1")" ]
}

# Packages start their services when they are installed, unless policy-rc.d forbids it.
forbid_services() {
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    policy=
  else
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
}

disable() { # SERVICE IS_NEW PACKAGE
  if [ -n "$2" ] && installed "$3"; then
    deb-systemd-helper disable "$1.service" >/dev/null 2>&1 || true
    update-rc.d "$1" disable >/dev/null 2>&1 || true
  fi
}

php_service() { # php8.2-fpm on bookworm, which php-fpm depends on
  dpkg-query -W -f '${Depends}' php-fpm 2>/dev/null
}

clean_up() {
  if [ -n "${policy:-}" ]; then
    rm -f "$policy"
  fi
  disable nginx "${nginx_is_new:-}" nginx-common
  disable prometheus "${prometheus_is_new:-}" prometheus
  disable redis-server "${redis_is_new:-}" redis-server
  disable "$(php_service)" "${php_is_new:-}" php-fpm
  rm -rf "$scratch"
}

# OpenResty has Lua built in, and its own libraries (lua/framegate/configure/nginx_program.lua).
nginx_has_lua() {
  PATH=$PATH:/usr/sbin "${NGINX:-nginx}" -V 2>&1 | grep -Eq -e '--add-module=[^ ]*(ngx_lua-[0-9]|lua-nginx-module)'
}

if nginx_has_lua; then
  runtime='lua-cjson lua5.1'
fi
command -v dpkg-query >/dev/null || die 'apt is missing: run framegate on Debian or Ubuntu, or with docker compose'
# shellcheck disable=SC2086 # the lists are words on purpose
wanted=$(missing_packages $runtime)
lacks_luajit=
if [ "${1:-}" = --test ]; then
  wanted=$wanted$(missing_commands busted=lua-busted luacheck=lua-check shellcheck=shellcheck chromium=chromium ps=procps promtool=prometheus openssl=openssl redis-server=redis-server)
  wanted=$wanted$(missing_packages php-curl php-fpm python3-django python3-fastapi python3-flask python3-httptools python3-uvicorn python3-websockets)
  command -v luajit >/dev/null || lacks_luajit=yes
fi
[ -n "$wanted$lacks_luajit" ] || exit 0

scratch=$(mktemp -d)
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$lacks_luajit" ]; then
  # shellcheck disable=SC2086
  wanted=$wanted$(choose_luajit $runtime)
fi
wanted=${wanted% }

if [ "$(id -u)" != 0 ]; then
  die "packages are missing, run: sudo apt-get install -y --no-install-recommends $wanted"
fi
say "installing $wanted"
forbid_services
installed nginx-common || nginx_is_new=yes
installed prometheus || prometheus_is_new=yes
installed redis-server || redis_is_new=yes
installed php-fpm || php_is_new=yes
# shellcheck disable=SC2086
install $wanted
