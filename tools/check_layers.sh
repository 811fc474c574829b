#!/bin/sh
# Fails when a file of src/ includes a header of a folder that its own folder may not see (tools/layers).
# src/rows.c is the list of all that plugs in and may include everything.
set -eu
cd "$(dirname "$0")/.."
awk 'NR == FNR { for (i = 1; i <= NF; i++) ok[$1, $i] = 1; next }
     match($0, /^#include "[a-z]+\//) {
         split(FILENAME, at, "/"); to = substr($0, RSTART + 10, RLENGTH - 11)
         if (!((at[2], to) in ok)) { print FILENAME ":" FNR ": " at[2] " may not include " to; bad = 1 } }
     END { exit bad }' tools/layers src/*/*.[ch]
