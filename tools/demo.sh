#!/bin/sh
# The first command of the README: installs what building needs, builds, fetches the default model, lets it answer the
# three plotting tasks of prompts/plot_*.txt; then fine-tunes it by recipes/demo.yaml on the dialogues in data/, shows the
# held-out loss before and after, lets the result answer, has a judge compare it with the base where one is configured, and opens
# the chat with it when a person is at the terminal.
# DEMO_MODEL chooses another model, DEMO_TOKENS the most tokens of an answer, DEMO_STEPS the steps of training (0: none), DEMO_JUDGE who
# judges (a MODEL, or URL#NAME of a server that speaks OpenAI's chat completions), DEMO_PROMPTS how many of the 115 prompts (0: all).
set -eu
cd "$(dirname "$0")/.."
model=${DEMO_MODEL:-smollm2:135m-instruct}
base=$model
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
[ "${DEMO_STEPS:-1}" = 0 ] || {
    echo "training: recipes/demo.yaml, some minutes; Ctrl-C saves, and the same command goes on from there" >&2
    build/starchat train recipes/demo.yaml model_name_or_path="$model" ${DEMO_STEPS:+max_steps="$DEMO_STEPS"}
    model=runs/demo
    for prompt in 'How do I list all files that are larger than 100 MB?' 'Write a Python function that reverses a string.'; do
        printf '\n> %s\n' "$prompt"
        build/starchat chat "$model" -p "$prompt" --max-tokens "$tokens" --seed 1 --no-save </dev/null
        echo
    done
    if [ -n "${DEMO_JUDGE:-}" ]; then
        build/starchat judge run --base "base=$base" --tuned tuned=runs/demo --judge "$DEMO_JUDGE" --limit "${DEMO_PROMPTS:-0}" --out runs/demo-judged --overwrite ||   # what was paid for is kept in the cache
            echo "judging did not finish; nothing that was answered is asked again" >&2
    else
        echo >&2
        echo "No judge is configured, so nobody compared the tuned model with its base. DEMO_JUDGE says who does:" >&2
        echo "  OPENAI_API_KEY=... DEMO_JUDGE=https://api.openai.com/v1#gpt-4o make demo        a server (115 prompts, both ways round)" >&2
        echo "  DEMO_JUDGE=http://127.0.0.1:8080/v1#NAME make demo                              one of your own" >&2
        echo "Add --dry-run to the command of docs/judge.md to see what it would cost; people can judge too: docs/rank.md" >&2
    fi
}
if [ -t 0 ] && [ -t 1 ]; then exec build/starchat chat "$model"; fi
