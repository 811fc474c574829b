#!/bin/sh
# Brings debian/libstarchat0.symbols up to date with the shared library: update_symbols.sh LIBRARY VERSION. A name keeps the version in which it
# came; a name that is gone breaks programs that were linked before, so it is said.
set -eu
cd "$(dirname "$0")/.."
list=debian/libstarchat0.symbols
touch $list
new=$(mktemp)
trap 'rm -f "$new"' EXIT
echo "libstarchat.so.0 libstarchat0 #MINVER#" >"$new"
{ echo STARCHAT_0; nm -D --defined-only "$1" | sed -n 's/.* \(sc_[a-z0-9_]*\)@@*STARCHAT_0$/\1/p'; } | LC_ALL=C sort | while read -r name; do
    since=$(sed -n "s/^ $name@STARCHAT_0 //p" $list)
    echo " $name@STARCHAT_0 ${since:-$2}"
done >>"$new"
sed -n 's/^ \([A-Za-z0-9_]*\)@.*/\1/p' $list | while read -r name; do grep -q "^ $name@" "$new" || echo "update_symbols: $name is gone; raise the major version if it was released" >&2; done
cp "$new" $list
