#!/bin/bash
# Runs the command-line cases: tests/cli/cases/NAME/ holds `cmd` (bash; `starchat` is the program), and what it must give:
# `stdout`, and if present `stderr` and `exit` (0 without). `stdin` is fed to it if present. Each case runs in an empty
# directory of its own with an empty store and no network; $TESTS is the tests folder.
# Usage: tests/cli/run.sh PROGRAM [CASE...]     Last line: "N passed, N failed". RECORD=1 writes stdout, stderr and exit anew.
set -u
program=$(realpath "${1:-build/starchat}")
shift
export TESTS
TESTS=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" && ln -s "$program" "$scratch/bin/starchat"
export PATH="$scratch/bin:$PATH" STARCHAT_HOME="$scratch/store" HOME="$scratch/home" LC_ALL=C.UTF-8 HF_HUB_OFFLINE=1 NO_COLOR=1
unset HF_TOKEN HF_ENDPOINT HF_HOME XDG_DATA_HOME XDG_CACHE_HOME
mkdir "$HOME"
echo 0 >"$scratch/zero"
passed=0 failed=0

differs() { # CASE WHAT: true if what was found is not what is written down
    local expected=$TESTS/cli/cases/$1/$2 found=$scratch/$2
    if ! [ -f "$expected" ]; then
        [ "$2" = exit ] || return 1
        expected=$scratch/zero
    fi
    cmp -s "$expected" "$found" && return 1
    echo "FAILED $1: $2 differs (< expected, > found)"
    diff -a "$expected" "$found" | head -n 12 | cut -c 1-300
    return 0
}

record() { # CASE
    local to=$TESTS/cli/cases/$1
    cp "$scratch/stdout" "$to/stdout"
    rm -f "$to/stderr" "$to/exit"
    if [ -s "$scratch/stderr" ]; then cp "$scratch/stderr" "$to/stderr"; fi
    cmp -s "$scratch/exit" "$scratch/zero" || cp "$scratch/exit" "$to/exit"
}

run_case() { # CASE
    local from=$TESTS/cli/cases/$1 input=/dev/null bad=0 what
    rm -rf "$STARCHAT_HOME" "$scratch/work"
    mkdir "$scratch/work"
    [ -f "$from/stdin" ] && input=$from/stdin
    (cd "$scratch/work" && timeout 60 bash "$from/cmd") <"$input" >"$scratch/stdout" 2>"$scratch/stderr"
    echo $? >"$scratch/exit"
    if [ -n "${RECORD:-}" ]; then
        record "$1"
        return
    fi
    for what in exit stdout stderr; do
        if differs "$1" $what; then bad=1; fi
    done
    if [ $bad = 1 ] && ! [ -f "$from/stderr" ]; then head -n 5 "$scratch/stderr"; fi
    if [ $bad = 1 ]; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
}

if [ $# = 0 ]; then
    for case in "$TESTS"/cli/cases/*/; do run_case "$(basename "$case")"; done
else
    for case in "$@"; do run_case "$case"; done
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
