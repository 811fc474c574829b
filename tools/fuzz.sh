#!/bin/sh
# Runs every fuzz target for SECONDS on its corpus, with tests/fuzz/NAME.dict if there is one, as many at a time as there are cores; new inputs go to
# the build directory. Usage: tools/fuzz.sh SECONDS TARGET...
set -u
one() { # SECONDS TARGET: the words of a run go to a file, so that those of two at a time do not mix
    name=$(basename "$2")
    name=${name#fuzz_}
    found=$(dirname "$2")/found_$name
    mkdir -p "$found"
    corpus=tests/fuzz/corpus/$name
    [ -d "$corpus" ] || corpus=
    words=tests/fuzz/$name.dict
    [ -f "$words" ] && words=-dict=$words || words=
    if "$2" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/bad-" $words "$found" $corpus >"$found.log" 2>&1; then
        echo "ok     fuzz $name: $(grep -oE 'Done [0-9]+ runs' "$found.log" | tail -n 1)" >"$found.result"
    else
        { echo "FAILED fuzz $name"; tail -n 40 "$found.log"; } >"$found.result"
    fi
}
if [ "$1" = one ]; then one "$2" "$3"; exit; fi
seconds=$1
shift
passed=0 failed=0
for target in "$@"; do rm -f "$(dirname "$target")/found_$(basename "$target" | sed 's/^fuzz_//').result"; done
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" one "$seconds"
for target in "$@"; do
    result=$(dirname "$target")/found_$(basename "$target" | sed 's/^fuzz_//').result
    if [ -f "$result" ]; then cat "$result"; else echo "FAILED fuzz $target: it did not run"; fi
    if grep -q '^ok ' "$result" 2>/dev/null; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
