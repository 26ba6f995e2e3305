#!/bin/sh
# Downloads Debian's or Ubuntu's package of lua-resty-websocket into a folder: vendor.sh [folder]; default lua/vendor.
# It needs apt's lists, but neither root nor an installed package.
set -eu

# The accepted files: upstream's, except for the line with the module name by which they find each other.
# Each distribution builds its own packages from them, so the contents are compared.
accepted() { # version, sha256, file
  cat <<'END'
0.08 5658a0aef7a5ec903687b592b12ba1e671b17e10af2ff71b4350f78c73a10ab4  nginx/websocket/client.lua
0.08 cffbfb16f7d63fc73cdc07a4f75258f592e1bf8b6a6ba1bd4f794424a7a3e644  nginx/websocket/protocol.lua
0.08 2642420a90ca13c4bfd479f9e7aa6021260591c065d3854e74ca222088f60897  nginx/websocket/server.lua
0.13 9f73a2e8a7228f7c1074a0f22da6339ed3f8dbbffc79af220153e30f50d55b08  nginx/websocket/client.lua
0.13 06f918637c96ca31769115f76ca957606c94cf7986fe6e33fdcba6367251fe8f  nginx/websocket/protocol.lua
0.13 939f1fe237da70dfa5fee99fadc6a81e4d71afd51f236febe0d0fd7fbd7c3933  nginx/websocket/server.lua
END
}

versions=$(accepted | cut -d ' ' -f 1 | uniq | paste -sd ' ' -)

die() {
  printf 'framegate: %s\n' "$*" >&2
  exit 1
}

is_version() { # FOLDER VERSION
  sums=$(accepted | sed -n "s/^$2 //p")
  [ -n "$sums" ] && (cd "$1" 2>/dev/null && printf '%s\n' "$sums" | sha256sum --check --status 2>/dev/null)
}

package=lua-nginx-websocket
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=${1:-$project/lua/vendor}

for version in $versions; do
  if is_version "$target" "$version"; then
    exit 0
  fi
done

command -v apt-get >/dev/null || die "apt is missing: run framegate on Debian or Ubuntu, or with docker compose"
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
packaged=$(dpkg-deb -f "$deb" Version)
version=${packaged%%-*} # upstream's: 0.08-1 and 0.08-1build1 are both 0.08
case " $versions " in
  *" $version "*) ;;
  *) die "$package $packaged is not a version that framegate knows ($versions): run it with docker compose" ;;
esac

dpkg -x "$deb" "$scratch/root"
is_version "$scratch/root/usr/share/lua/5.1" "$version" ||
  die "$package $packaged does not hold the files of version $version: check your apt sources"

mkdir -p "$target/nginx/websocket"
accepted | sed -n "s/^$version [^ ]*  //p" | while read -r file; do
  cp "$scratch/root/usr/share/lua/5.1/$file" "$target/$file"
done
cp "$scratch/root/usr/share/doc/$package/copyright" "$target/LICENSE.$package"
