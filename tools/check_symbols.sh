#!/bin/sh
# Fails when the library shows a name that does not begin with sc_. Usage: tools/check_symbols.sh LIBRARY
set -eu
bad=$(nm -g --defined-only "$1" | awk 'NF == 3 && $3 !~ /^sc_/ { print $3 }')
[ -z "$bad" ] || { echo "names that leave the library:"; echo "$bad"; exit 1; }
