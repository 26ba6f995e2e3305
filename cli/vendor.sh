#!/bin/sh
# Puts lua-resty-websocket, as Debian packages it, into a folder: vendor.sh [folder], by default lua/vendor.
# It needs apt's lists, but neither root nor an installed package.
set -eu

accepted() { # version, sha256 of the package
  cat <<'END'
0.08-1 bf8b68c6170818ad3b19ea4b34c6e07e1ad8991879c7be56a50e8c75d9a43349
0.13-1 22d55fbb7eb07119db0aba527d883ae8d09b4f9a0ae44ce686ecedc508523a58
END
}

die() {
  printf 'framegate: %s\n' "$*" >&2
  exit 1
}

package=lua-nginx-websocket
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=${1:-$project/lua/vendor}
stamp=$target/.package

if [ -e "$target/nginx/websocket/server.lua" ] && [ -e "$stamp" ] && accepted | grep -qxF -f "$stamp"; then
  exit 0
fi

command -v apt-get >/dev/null || die "no apt here: run framegate on Debian or with docker compose"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

download() {
  (cd "$scratch" && apt-get -qq download "$package" >log 2>&1 && ls ./*.deb >/dev/null 2>&1)
}
download ||
  { [ "$(id -u)" = 0 ] && apt-get -qq update >/dev/null 2>&1 && download; } ||
  die "apt cannot download $package ($(grep '^E:' "$scratch/log" | head -n 1)): run sudo apt-get update, then again"

deb=$(ls "$scratch"/*.deb)
version=$(dpkg-deb -f "$deb" Version)
sum=$(sha256sum "$deb" | cut -d ' ' -f 1)
accepted | grep -q "^$version " ||
  die "$package $version is not a version that framegate knows ($(accepted | cut -d ' ' -f 1 | paste -sd ' ' -)): run it with docker compose"
accepted | grep -qxF "$version $sum" ||
  die "$package $version has the sha256 $sum, which is not Debian's: check your apt sources"

dpkg -x "$deb" "$scratch/root"
mkdir -p "$target"
cp -R "$scratch/root/usr/share/lua/5.1/." "$target/"
cp "$scratch/root/usr/share/doc/$package/copyright" "$target/LICENSE.$package"
printf '%s %s\n' "$version" "$sum" >"$stamp"
