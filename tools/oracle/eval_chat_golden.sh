#!/bin/sh
# Golden requests of `starchat eval` through chat templates, as lm-eval writes them on the small rows of tests/golden/eval/data: four documents of each task, built-in templates as
# this program has them and one that trims messages and refuses the system's. Versions and seeds: eval_harness.py.
# Usage: eval_chat_golden.sh PYTHON STARCHAT HF_DIR      (HF_DIR: any tokenizer; its own template is not used)
set -eu
python=$1 starchat=$2 model=$3
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
render() {
    template=$1 where=$2
    shift 2
    EVAL_ROWS=$PWD/tests/golden/eval/data "$python" tools/oracle/eval_harness.py render --out "$scratch/$where" --model "$model" --template "$template" --limit 4 "$@"
    mkdir -p "tests/golden/eval/requests_chat/$where"
    mv "$scratch/$where"/out/*.requests.jsonl "tests/golden/eval/requests_chat/$where/"
}
for name in chatml no_system; do
    "$starchat" eval "$model" --template $name --apply-chat-template --tasks gsm8k --data tests/golden/eval/data --limit 1 --dry-run --json -q |
        "$python" -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["chat_template"])' > "$scratch/$name.jinja"
done
render "$scratch/chatml.jinja" chatml arc_easy_chat arc_easy_chat-single winogrande_chat lambada_openai_chat mmlu_anatomy_chat-system arc_easy.prefix_chat
render "$scratch/no_system.jinja" no_system gsm8k_chat-system arc_easy.prefix_chat-single gsm8k.prefix_chat
render tests/golden/eval/templates/trims.jinja trims mmlu_anatomy_chat gsm8k.prefix_chat arc_easy.prefix_chat
render tests/golden/eval/templates/trims.jinja none gsm8k_system arc_easy.prefix gsm8k.prefix
"$python" - > tests/golden/eval/requests_chat/made_by.json <<'END'
import json
from importlib.metadata import version
print(json.dumps({"script": "tools/oracle/eval_chat_golden.sh", **{p: version(p) for p in ("lm_eval", "transformers", "jinja2")}, "seeds": {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}}))
END
