#!/bin/sh
# The files of the source tree that building needs, each ended by NUL: what git knows, or in a tree without git all but what is built. Large
# things that only tests read stay out.
set -eu
cd "$(dirname "$0")/.."
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then git ls-files -z --cached --others --exclude-standard; else find . -type f ! -path './build/*' ! -path './runs/*' -printf '%P\0'; fi |
    LC_ALL=C sort -zu | grep -zv -e '^tests/' -e '^bench/'
