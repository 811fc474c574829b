#!/bin/sh
# Installs the Debian packages that building and testing need, if any is missing. Says what it does; asks first when a
# person is at the terminal. Usage: tools/setup.sh [build|test]
set -eu
build="build-essential pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libxxhash-dev libzstd-dev libreadline-dev ca-certificates"
test="clang python3"
want=$build
[ "${1:-build}" = test ] && want="$build $test"
missing=
for package in $want; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "setup: these packages are missing:$missing; this system has no apt-get, so please install their equivalents" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: please install as root:  apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi
echo "setup: will run: $as_root apt-get install$missing" >&2
if [ -t 0 ] && [ "${CI:-}" != true ]; then
    printf 'Continue? [Y/n] ' >&2
    read -r answer
    case $answer in n* | N*) exit 1 ;; esac
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
