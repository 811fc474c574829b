#!/bin/sh
# Runs test programs and the command-line cases one after the other and adds up their results.
# Usage: tools/run_tests.sh BUILD_DIRECTORY PROGRAM...     Last line: "N passed, N failed"; exit 1 on any failure.
# What a failed program said is also added to the file named by STARCHAT_FAILURES, for whoever shows it at the end of a long log.
set -u
build=$1
shift
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
add() { # name, exit status: takes the totals from the last line of the log
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    p=${last%% passed*}
    f=${last#*passed, }
    f=${f%% failed*}
    if [ -z "$last" ]; then p=0 f=1; echo "$1 ended without a result (status $2)"; cat "$log"; fi
    [ "$f" = 0 ] && [ "$2" != 0 ] && f=1
    if [ "$f" != 0 ]; then
        grep -v '^ok ' "$log"
        [ -z "${STARCHAT_FAILURES:-}" ] || { echo "-- $build: $1"; grep -v -e '^ok ' -e '^skipped' "$log" | tail -c 2500; } >>"$STARCHAT_FAILURES"
    fi
    grep -h '^skipped' "$log"
    printf '%-22s %4d passed, %d failed\n' "$1" "$p" "$f"
    passed=$((passed + p)) failed=$((failed + f))
}
for program in "$@"; do
    STARCHAT_SOURCE=$PWD "$program" >"$log" 2>&1
    add "$(basename "$program")" $?
done
if [ -x tests/cli/run.sh ]; then
    tests/cli/run.sh "$build/starchat" >"$log" 2>&1
    add cli $?
fi
# Under a sanitizer everything is slow; what is killed often is killed less often there.
[ "$build" = build ] || export STARCHAT_SANITIZED=1 STARCHAT_KILLS="${STARCHAT_KILLS:-5}"
if [ -n "$(command -v python3)" ]; then
    python3 tests/cli/test_chat.py "$build/starchat" >"$log" 2>&1
    add chat_terminal $?
    for name in damage convert train push card compare judge judge_ends judge_prompts judge_report rank pull hub eval_code eval_plots eval serve serve_ops ui ranks install; do
        [ "$name" = ranks ] && [ "$build" != build ] && continue         # MPI under a sanitizer tells of MPI; test_ranks has threads for ranks
        [ "$name" = install ] && [ "$build" != build ] && continue       # nothing of it runs under a sanitizer
        case $build:$name in *ubsan:serve | *ubsan:serve_ops | *ubsan:ui | *ubsan:hub | *ubsan:push) continue ;; esac       # minutes each; ASan sees the same paths
        python3 "tests/cli/test_$name.py" "$build/starchat" >"$log" 2>&1
        add "cli_$name" $?
    done
    # Hostile programs and cheats; where no sandbox can be had, a line says so. Sanitizers see test_sandbox.
    if [ "$build" = build ]; then
        python3 tests/sandbox/run.py "$build/sandbox_judge" >"$log" 2>&1
        add sandbox $?
    fi
    # The documentation: what its pages tell people to type, their links, the words of the headers; and the examples of the library.
    if [ "$build" = build ]; then
        python3 tests/docs/check.py "$build/starchat" >"$log" 2>&1
        add docs $?
        python3 tests/cli/test_examples.py "$build/starchat" >"$log" 2>&1
        add examples $?
    fi
    # Real clients of others: what they need is fetched once, and what cannot be fetched is named.
    if [ "$build" = build ]; then
        python3 tests/clients/run.py "$build/starchat" >"$log" 2>&1
        add clients $?
    fi
else
    echo "skipped: tests/cli/test_*.py, tests/docs and tests/clients need python3"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
