"""lm-eval's local-completions, unmodified: prompts as tokens, echo and logprobs. Its log-likelihoods against those of `starchat score`,
which never goes through HTTP."""
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import checks
from checks import MODEL, SETTINGS, URL

ROWS = [{"question": f"def f{i}(x):\n    return x +", "choices": [str(i), "x", "None # what?"], "answer": i % 3} for i in range(8)]
TASK = """\
task: starchat_rows
dataset_path: json
dataset_kwargs:
  data_files:
    test: ROWS
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
"""


def evaluated(place, batch):
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (place / "task.yaml").write_text(TASK.replace("ROWS", str(place / "rows.jsonl")))
    tokenizer = place / "tokenizer"                                             # transformers wants to be told what kind it is
    tokenizer.mkdir()
    shutil.copy(pathlib.Path(SETTINGS["directory"]) / "tokenizer.json", tokenizer)
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}))
    done = subprocess.run([sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args",
                           f"model={MODEL},base_url={URL}/v1/completions,tokenizer_backend=huggingface,tokenizer={tokenizer},tokenized_requests=True,num_concurrent=1,max_retries=1",
                           "--include_path", str(place), "--tasks", "starchat_rows", "--batch_size", str(batch), "--log_samples", "--output_path", str(place / "out")],
                          capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(place / "home"), "HOME": str(place), "OPENAI_API_KEY": "none", "TOKENIZERS_PARALLELISM": "false"})
    assert done.returncode == 0, done.stderr[-500:]
    samples = [json.loads(line) for line in open(next((place / "out").rglob("samples_*.jsonl")))]
    return [[(float(logprob), is_greedy in (True, "True")) for logprob, is_greedy in (one if isinstance(one, list) and len(one) == 2 else one[0] for one in sample["filtered_resps"])] for sample in sorted(samples, key=lambda s: s["doc_id"])]


def scored():
    lines = "".join(json.dumps({"context": row["question"], "continuation": " " + choice}) + "\n" for row in ROWS for choice in row["choices"])
    done = subprocess.run([SETTINGS["program"], "score", SETTINGS["directory"], "-q"], input=lines, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    flat = [json.loads(line) for line in done.stdout.splitlines()]
    return [[(s["logprob"], s["greedy"]) for s in flat[3 * i:3 * i + 3]] for i in range(len(ROWS))]


def check_log_likelihoods():
    expected = scored()
    for batch in (1, 4):
        with tempfile.TemporaryDirectory(prefix="starchat-lm-eval-") as place:
            found = evaluated(pathlib.Path(place), batch)
        pairs = [(a, b) for row, other in zip(found, expected) for a, b in zip(row, other)]
        assert len(pairs) == 24 and len(found) == len(ROWS)
        worst = max(abs(a[0] - b[0]) for a, b in pairs)
        assert worst < 1e-4 and all(a[1] == b[1] for a, b in pairs), worst
        print(f"note {len(pairs)} log-likelihoods in batches of {batch}: largest difference {worst:.1e}")


checks.run(f"lm_eval {importlib.metadata.version('lm_eval')} (local-completions)", globals())
