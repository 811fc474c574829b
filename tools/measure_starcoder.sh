#!/bin/sh
# The geometry of StarCoder (15.5 billion parameters) with random weights: written as Q4_0 straight to GGUF, then opened and
# asked for some tokens. Prints times, file size, peak memory and tokens/s; exit 1 if init held more than its largest tensor
# or generating took more than 12 GiB. Needs 10 GB of disk in DIRECTORY and, for speed, of memory.
# Usage: tools/measure_starcoder.sh DIRECTORY [TOKENIZER]      TOKENIZER: a tokenizer.json of 49152 tokens; else a tiny one
set -eu
directory=$1
tokenizer=${2:-tests/golden/tokenizers/bytes/tokenizer.json}
program=${STARCHAT:-build/starchat}
file=$directory/starcoder-15b-random.gguf
figures=$directory/starcoder-15b-random.figures
largest_kb=$((49152 * 6144 / 256 * 210 / 1024)) limit_kb=$((12 * 1024 * 1024)) failed=0
free=$(df -Pk "$directory" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt 10000000 ]; then
    echo "measure_starcoder: $directory has $free KB free, 10000000 are needed" >&2
    exit 1
fi
trap 'rm -f "$file" "$figures"' EXIT
trap 'exit 130' INT TERM

measure() { # COMMAND...: sets seconds and peak (KB); its messages stay in $figures
    /usr/bin/time -f "%e %M" "$@" 2>"$figures" >/dev/null || { cat "$figures" >&2; exit 1; }
    seconds=$(tail -n 1 "$figures" | cut -d ' ' -f 1)
    peak=$(tail -n 1 "$figures" | cut -d ' ' -f 2)
}
check() { # KB ALLOWED WHAT
    [ "$1" -le "$2" ] && return
    echo "measure_starcoder: $3 took $1 KB, at most $2 are allowed" >&2
    failed=1
}

measure "$program" init tools/starcoder-15b.config.json "$file" --tokenizer "$tokenizer" --type q4_0 --seed 1 --overwrite
echo "init:           $seconds s, peak $peak KB; file $(stat -c %s "$file") bytes"
check "$peak" $largest_kb init
measure "$program" show "$file"
echo "show:           $seconds s, peak $peak KB"
for activations in int8 f32; do
    measure "$program" complete "$file" -p "def fibonacci(n):" -n 16 --ignore-eos --temp 0 --activations $activations --verbose
    echo "complete, $activations: $(sed -n '1s/^Opened .* in \(.*\)\.$/opened in \1/p' "$figures"), $(grep generated "$figures"); $seconds s, peak $peak KB"
    check "$peak" $limit_kb "complete, $activations"
done
exit $failed
