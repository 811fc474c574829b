#!/bin/sh
# The first command of the README: installs what building needs, builds, fetches the default model, lets it answer the
# three plotting tasks of prompts/plot_*.txt, and opens the chat when a person is at the terminal.
# DEMO_MODEL chooses another model, DEMO_TOKENS the most tokens of an answer.
set -eu
cd "$(dirname "$0")/.."
model=${DEMO_MODEL:-smollm2:135m-instruct}
tokens=${DEMO_TOKENS:-300}
tools/setup.sh build
make --no-print-directory -s all
path=$(build/starchat pull "$model")
echo "model: $path" >&2
for prompt in prompts/plot_*.txt; do
    printf '\n> '
    cat "$prompt"
    echo
    build/starchat chat "$model" -p "$(cat "$prompt")" --max-tokens "$tokens" --seed 1 --no-save </dev/null
    echo
done
if [ -t 0 ] && [ -t 1 ]; then exec build/starchat chat "$model"; fi
