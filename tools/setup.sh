#!/bin/sh
# Installs the Debian packages that building and testing need, if any is missing. Says what it does; asks first when a
# person is at the terminal. Usage: tools/setup.sh [build|test|docs|deb|tarball|duckdb]
# duckdb: fetches DuckDB's C library (for Parquet and CSV data sets) from npm into ~/.local/lib.
set -eu
[ "${1:-}" != duckdb ] || exec "$(dirname "$0")/duckdb.sh"
build="build-essential pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libxxhash-dev libzstd-dev liblz4-dev libyaml-dev libevent-dev libsqlite3-dev libseccomp-dev libreadline-dev ca-certificates"
test="clang libclang-rt-dev python3 libsimde-dev openmpi-bin libopenmpi-dev mpich libmpich-dev openssh-client python3-venv chromium bubblewrap zsh fish mandoc groff-base"
docs="libmd4c-dev libmd4c-html0-dev doxygen jq"
# What makes packages; lintian judges them.
deb="debhelper dpkg-dev fakeroot lintian libopenmpi-dev libmpich-dev"
want=$build
[ "${1:-build}" = deb ] && want="$build $deb"
[ "${1:-build}" = tarball ] && want="$build dpkg-dev libncurses-dev"
[ "${1:-build}" = docs ] && want="$build $docs"
[ "${1:-build}" = test ] && want="$build $test $docs"
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
