#!/bin/sh
# The geometry of StarCoder (15.5 billion parameters) with random weights: written as Q4_0 straight to GGUF, then opened and
# asked for some tokens. Prints time, file size, peak memory and tokens/s. Needs 10 GB of disk in DIRECTORY.
# Usage: tools/measure_starcoder.sh DIRECTORY [TOKENIZER]      TOKENIZER: a tokenizer.json of 49152 tokens; else a tiny one
set -eu
directory=$1
tokenizer=${2:-tests/golden/tokenizers/bytes/tokenizer.json}
file=$directory/starcoder-15b-random.gguf
measure() { # NAME COMMAND...: runs it, says how long it took and how much memory it had at most
    name=$1
    shift
    /usr/bin/time -f "$name: %e s, peak %M KB" "$@"
}
free=$(df -Pk "$directory" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt 10000000 ]; then
    echo "measure_starcoder: $directory has $free KB free, 10000000 are needed" >&2
    exit 1
fi
trap 'rm -f "$file"' EXIT
measure init build/starchat init tools/starcoder-15b.config.json "$file" --tokenizer "$tokenizer" --type q4_0 --seed 1 --quiet --overwrite
echo "file: $(stat -c %s "$file") bytes"
measure show build/starchat show "$file" --json >/dev/null
for activations in int8 f32; do
    measure "complete, $activations" build/starchat complete "$file" -p "def fibonacci(n):" -n 16 --temp 0 --activations $activations --verbose >/dev/null
    build/starchat bench "$file" -p 128 -n 8 -r 1 --activations $activations
done
