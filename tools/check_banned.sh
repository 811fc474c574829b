#!/bin/sh
# Fails on library functions that have no bound or no error, and on printing from the library.
set -eu
cd "$(dirname "$0")/.."
bad=0
if grep -nwE '(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|gets|alloca)[[:space:]]*\(' -r src include tests --include='*.[ch]'; then bad=1; fi
if grep -nwE '(printf|puts|putchar)[[:space:]]*\(' -r src --include='*.[ch]' | grep -v '^src/cmd/'; then bad=1; fi
if grep -nwE '(getenv|secure_getenv)[[:space:]]*\(' -r src --include='*.c' | grep -v '^src/cmd/\|^src/hub/\|^src/comm/comm.c\|^src/data/duckdb.c'; then bad=1; fi
exit $bad
