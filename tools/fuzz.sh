#!/bin/sh
# Runs every fuzz target for SECONDS on its corpus, with tests/fuzz/NAME.dict if there is one; new inputs go to the build
# directory. Usage: tools/fuzz.sh SECONDS TARGET...
set -u
seconds=$1
shift
failed=0 passed=0
for target in "$@"; do
    name=$(basename "$target")
    name=${name#fuzz_}
    found=$(dirname "$target")/found_$name
    mkdir -p "$found"
    corpus=tests/fuzz/corpus/$name
    [ -d "$corpus" ] || corpus=
    words=tests/fuzz/$name.dict
    [ -f "$words" ] && words=-dict=$words || words=
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/bad-" $words "$found" $corpus >"$found.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok     fuzz $name: $(grep -oE 'Done [0-9]+ runs' "$found.log" | tail -n 1)"
    else
        failed=$((failed + 1))
        echo "FAILED fuzz $name"
        tail -n 40 "$found.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
