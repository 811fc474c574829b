"""Writes what lm-eval (EleutherAI's harness) renders and scores, for the tests of `starchat eval`.

lm-eval's own task definitions are used unchanged; only datasets.load_dataset is replaced, so that
they read shared/data/eval instead of the Hub.  The local files are first written in the Hub's column
shapes (`data`), so that the C program can read exactly the same rows.

  eval_harness.py data   --out DIR                  DIR/data/TASK/SPLIT.jsonl (and a few .parquet)
  eval_harness.py render --out DIR                  DIR/out/TASK.SHOTS.requests.jsonl: no model needed
  eval_harness.py run    --out DIR --model HF_DIR [RUN ...]
                                                    DIR/out/TASK.SHOTS.{scores.jsonl,samples.jsonl,results.json}
  eval_harness.py metrics --out DIR                 DIR/out/{truthfulqa_gen,gsm8k,bootstrap,shots}.metrics.jsonl: what
                                                    lm-eval makes of given answers; no model needed
  eval_harness.py list                              names of the runs

requests.jsonl: one line for each request of lm-eval, in its order
  {"task","doc_id","idx","type","context","continuation" | "gen_kwargs" | "text","shots"}
  shots: places of the few-shot documents in their split, in the order of the prompt
scores.jsonl: the same and
  {"loglikelihood","greedy","context_tokens","continuation_ids"} or {"generated","gaps"}
  gaps: the difference between the best and second best logit at each generated token
samples.jsonl, results.json: what the command line of lm-eval writes with --log_samples --output_path
run.json: versions, seeds, wall time, peak memory, load

Runs marked "chat" are asked through the template of --model (render needs it too), "chat-single" with all examples
in one message.

Runs marked "prefix" keep the key/value cache of the tokens that consecutive requests share (the same
float32 mathematics in other sums); all others are lm-eval's plain `hf` model.  `--check N` scores the
first N documents of such a run with both and prints the largest difference.

EVAL_ROWS=DIR takes the rows of eval_golden_data.py instead of shared/data/eval: `EVAL_ROWS=tests/golden/eval/data
eval_harness.py render --out tests/golden/eval` makes the golden requests of the tests; eval_chat_golden.sh those through templates.

Timed runs are one thread; --threads N for more.

Not the Hub's rows: ARC train is the Challenge set, parsed back from an instruction-tuning file (for both
sets); HellaSwag and WinoGrande draw shots from local files (validation itself, train_s); wikitext is the
tokenised <unk> text cut into pages.  shared/data/eval holds back a fifth of most sets.

Made with: torch 2.15.0, transformers 5.23.0, datasets 5.2.0, lm_eval 0.4.13, sacrebleu 2.6.0,
rouge_score 0.1.2 (requirements.txt); seeds: lm-eval's defaults (0, 1234, 1234, few-shot 1234).
"""
import argparse
import hashlib
import json
import logging
import os
import random
import resource
import sys
import time

from eval_rows import data_set, data_sets, lines, write_data

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("DISABLE_MULTIPROC", "1")

LIMIT = 200        # documents of a multiple-choice run
MMLU_LIMIT = 4     # of each of the 57 subjects

SYSTEM = "Answer as well as you can."
PREFIX = {"task": "arc_easy", "gen_prefix": "The best answer is", "description": "Choose.\n\n"}
LINE = {"task": "gsm8k", "gen_prefix": "Let me think.\n"}

# name, task (or override of one), shots (None: the task's own), documents, documents run with a model, mode
RUNS = [
    ("arc_easy", "arc_easy", 0, LIMIT, LIMIT, "plain"),
    ("arc_challenge", "arc_challenge", 0, LIMIT, LIMIT, "plain"),
    ("winogrande", "winogrande", 0, LIMIT, LIMIT, "plain"),
    ("lambada_openai", "lambada_openai", 0, LIMIT, LIMIT, "plain"),
    ("mmlu", "mmlu", 0, MMLU_LIMIT, MMLU_LIMIT, "plain"),
    ("truthfulqa_mc1", "truthfulqa_mc1", 0, LIMIT, LIMIT, "prefix"),
    ("truthfulqa_mc2", "truthfulqa_mc2", 0, LIMIT, LIMIT, "prefix"),
    ("hellaswag", "hellaswag", 0, LIMIT, LIMIT, "prefix"),
    ("winogrande", "winogrande", 5, LIMIT, LIMIT, "prefix"),
    ("truthfulqa_gen", "truthfulqa_gen", 0, LIMIT, LIMIT, "plain"),
    ("arc_easy", "arc_easy", 5, LIMIT, LIMIT, "prefix"),
    ("wikitext", "wikitext", 0, LIMIT, 12, "plain"),
    ("gsm8k", "gsm8k", 5, LIMIT, LIMIT, "plain"),
    ("gsm8k", "gsm8k", 0, LIMIT, LIMIT, "plain"),
    ("lambada_openai", "lambada_openai", 5, LIMIT, LIMIT, "prefix"),
    ("hellaswag", "hellaswag", 5, LIMIT, LIMIT, "prefix"),
    ("hellaswag", "hellaswag", 10, LIMIT, LIMIT, "prefix"),
    ("arc_challenge", "arc_challenge", 5, LIMIT, LIMIT, "prefix"),
    ("arc_challenge", "arc_challenge", 25, LIMIT, LIMIT, "prefix"),
    ("mmlu", "mmlu", 5, MMLU_LIMIT, MMLU_LIMIT, "prefix"),
    ("mmlu_anatomy", "mmlu_anatomy", 5, LIMIT, LIMIT, "prefix"),
    ("mmlu_moral_scenarios", "mmlu_moral_scenarios", 5, LIMIT, LIMIT, "prefix"),
    # Rendered only
    ("hellaswag_openllm", {"task": "hellaswag", "fewshot_split": "train"}, 10, LIMIT, 0, "plain"),
    ("winogrande_openllm", {"task": "winogrande", "fewshot_split": "train"}, 5, LIMIT, 0, "plain"),
    ("gsm8k_cot", "gsm8k_cot", 8, LIMIT, 0, "plain"),
    ("lambada_standard", "lambada_standard", 0, LIMIT, 0, "plain"),
    ("humaneval", "humaneval", 0, LIMIT, 0, "plain"),
    ("humaneval_instruct", "humaneval_instruct", 0, LIMIT, 0, "plain"),
    ("mbpp", "mbpp", 3, LIMIT, 0, "plain"),
    ("mbpp_instruct", "mbpp_instruct", 3, LIMIT, 0, "plain"),
    # The same with the model's chat template: examples as turns ("chat") or all in one ("chat-single")
    ("arc_easy_chat", "arc_easy", 5, 50, 20, "chat"),
    ("arc_easy_chat-single", "arc_easy", 5, 50, 0, "chat-single"),
    ("winogrande_chat", "winogrande", 5, 50, 20, "chat"),
    ("gsm8k_chat", "gsm8k", 5, 50, 5, "chat"),
    ("mmlu_chat", "mmlu", 5, 1, 0, "chat"),
    ("mmlu_chat-single", "mmlu", 5, 1, 0, "chat-single"),
    ("mbpp_instruct_chat", "mbpp_instruct", 3, 50, 0, "chat"),
    ("humaneval_instruct_chat", "humaneval_instruct", 0, 50, 0, "chat"),
    # For the golden requests: descriptions, beginnings of the answer, an instruction (SYSTEM)
    ("mmlu_anatomy_chat", "mmlu_anatomy", 3, 50, 0, "chat"),
    ("lambada_openai_chat", "lambada_openai", 1, 50, 0, "chat"),
    ("gsm8k_chat-system", "gsm8k", 2, 50, 0, "chat-system"),
    ("gsm8k_system", "gsm8k", 2, 50, 0, "system"),
    ("mmlu_anatomy_chat-system", "mmlu_anatomy", 1, 50, 0, "chat-system"),
    ("arc_easy.prefix", PREFIX, 3, 50, 0, "plain"),
    ("arc_easy.prefix_chat", PREFIX, 3, 50, 0, "chat"),
    ("arc_easy.prefix_chat-single", PREFIX, 3, 50, 0, "chat-single"),
    ("gsm8k.prefix", LINE, 2, 50, 0, "plain"),
    ("gsm8k.prefix_chat", LINE, 2, 50, 0, "chat"),
]


# ---- lm-eval on them ------------------------------------------------------------------------------------------

def local_data():
    """Gives lm-eval the rows of data_sets() when it asks for the Hub's."""
    import datasets
    sets = data_sets()
    datasets.disable_progress_bars()

    def load_dataset(path, name=None, **_):
        return data_set(path, name, sets)
    datasets.load_dataset = load_dataset

    # humaneval and mbpp want the Hub's code_eval, only to score.
    import evaluate

    class NoScore:
        def compute(self, **_):
            return [{}]
    evaluate.load = lambda *a, **k: NoScore()

    from lm_eval.api import samplers

    def remember(cls):
        plain = cls.sample

        def sample(self, n, *a, **k):
            docs = plain(self, n, *a, **k)
            if getattr(self, "places", None) is None:
                self.places = {id(d): i for i, d in enumerate(self.df)}
                self.drawn = []
            self.drawn.append([self.places[id(d)] for d in docs])
            return docs
        cls.sample = sample
    remember(samplers.ContextSampler)
    remember(samplers.FirstNSampler)


def requests_of(task, name):
    """The requests of a task, after build_all_requests."""
    drawn = list(getattr(task.sampler, "drawn", [])) if hasattr(task, "sampler") else []
    docs = sorted({r.doc_id for r in task.instances})
    for r in task.instances:
        row = {"task": name, "doc_id": r.doc_id, "idx": r.idx, "type": r.request_type}
        if r.request_type == "loglikelihood":
            row["context"], row["continuation"] = r.args
        elif r.request_type == "generate_until":
            row["context"], row["gen_kwargs"] = r.args
        else:
            (row["text"],) = r.args
        if drawn:
            row["shots"] = drawn[docs.index(r.doc_id)]
        yield r, row


def loaded(what, shots):
    """lm-eval's tasks with a number of shots, seeded as its command line does."""
    from lm_eval.tasks import TaskManager
    if isinstance(what, dict):      # as the group "openllm" changes its members
        what = {"group": "changed", "task": [what]}
    tasks = TaskManager().load([what])["tasks"]
    for task in tasks.values():
        if shots is not None and task.get_config("num_fewshot") != 0:
            task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(seed=1234)
    return tasks


def asking(mode):
    how = {"apply_chat_template": True, "fewshot_as_multiturn": mode != "chat-single"} if mode.startswith("chat") else {}
    return {**how, "system_instruction": SYSTEM} if mode.endswith("system") else how


def chat_arguments(mode, model, template):
    if not mode.startswith("chat"):
        return asking(mode)
    from types import SimpleNamespace
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(model)
    if template:
        with open(template, encoding="utf-8") as f:
            tokenizer.chat_template = f.read()
    plain = SimpleNamespace(tokenizer=tokenizer, chat_template_args={})     # all that the method wants of a model
    return {**asking(mode), "chat_template": lambda messages, **how: HFLM.apply_chat_template(plain, messages, **how)}


def render(out, model, names, template, documents):
    local_data()
    os.makedirs(os.path.join(out, "out"), exist_ok=True)
    for name, what, shots, limit, _, mode in RUNS:
        if names and name not in names and f"{name}.{shots}" not in names:
            continue
        where = os.path.join(out, "out", f"{name}.{shots}.requests.jsonl")
        count, digest = 0, hashlib.sha256()
        with open(where, "w", encoding="utf-8") as f:
            for task_name, task in loaded(what, shots).items():
                task.build_all_requests(limit=min(limit, documents or limit), rank=0, world_size=1, **chat_arguments(mode, model, template))
                for _, row in requests_of(task, task_name):
                    line = json.dumps(row, ensure_ascii=False) + "\n"
                    f.write(line)
                    digest.update(line.encode())
                    count += 1
        print(f"{name}.{shots}: {count} requests, sha256 {digest.hexdigest()[:16]}", flush=True)


def metrics(out):
    """Scores given answers; the answers are made from the references so that all cases occur."""
    local_data()
    from lm_eval.api import metrics as m
    from lm_eval.api.samplers import ContextSampler
    from rouge_score import scoring
    # One answer at a time: every resample is that answer, so ten give what a thousand do.
    scoring.BootstrapAggregator.__init__.__defaults__ = (0.95, 10)
    folder = os.path.join(out, "out")
    os.makedirs(folder, exist_ok=True)

    def write(name, rows):
        with open(os.path.join(folder, name + ".metrics.jsonl"), "w", encoding="utf-8") as f:
            for row in rows:
                f.write(json.dumps(row, ensure_ascii=False, default=float) + "\n")
        print(f"{name}: {len(rows)} rows")

    rng = random.Random(7)
    (task,) = loaded("truthfulqa_gen", None).values()
    rows = []
    for doc in list(task.eval_docs)[:100]:
        good, bad = rng.choice(doc["correct_answers"]), rng.choice(doc["incorrect_answers"])
        words = good.split()
        rng.shuffle(words)
        for text in (" " + good, bad, good.upper(), " ".join(words), good + " " + bad, good + "\n" + bad,
                     f"A: {good[: len(good) // 2]}", "", "Yes", f"{good} . {bad} . ",
                     "\u201cna\u00efve\u201d 3.14%, $5 \u2014 caf\u00e9; 1,000.",
                     "The 1990s, 2.5 and 10,000-fold (\u20ac3) \u2026 it's O'Neill's: "
                     "\u4f60\u597d\uff0c\u4e16\u754c\u3002"):
            rows.append({"question": doc["question"], "correct_answers": doc["correct_answers"],
                         "incorrect_answers": doc["incorrect_answers"], "completion": text,
                         "metrics": task.process_results(doc, [text])})
    write("truthfulqa_gen", rows)

    (task,) = loaded("gsm8k", None).values()
    texts = []
    for row in lines("gsm8k/example_model_solutions.first400.jsonl")[:200]:
        for key, value in row.items():
            if isinstance(value, dict) and "solution" in value:
                texts.append((row["ground_truth"], value["solution"]))
    texts += [("#### 1,234", t) for t in (
        "", "none", "#### 1234.", "#### 1,234", "#### $1,234", "#### -1234", "so 12 then\n#### 1234\n#### 99",
        "a 5 b",
        "1234", "is $1,234.00", "is $1,234.", "....", "-,", "$", "-", "- 5", "the answer is 1234. It is 7.", "#### .",
        "####1234", "#### 1234 apples", "\u0661\u0662", "x1234y", "#### 1234\n", "1,234\n", "-1,234.", "A. 1.B")]
    texts += [("so\n#### -5", t) for t in ("#### -5", "#### - 5", "-5", "-5.", "(-5)", "#### -5.0")]
    rows = []
    for target, text in texts:
        row = {"target": target, "completion": text}
        for f in task._filters:
            resps = [[text]]
            for part in f.filters:
                resps = list(part().apply(resps, [{}]))
            row[f.name] = resps[0]
            row[f.name + "_match"] = task._metric_fn_list["exact_match"](
                references=[target], predictions=[resps[0]], **task._metric_fn_kwargs["exact_match"])["exact_match"]
        rows.append(row)
    write("gsm8k", rows)

    rows = []
    for n in (2, 5, 50, 200, 333):
        xs = [rng.gauss(-3, 2) for _ in range(n)]
        flags = [rng.random() < 0.4 for _ in xs]
        rows.append({"items": xs, "perplexity": m.perplexity(xs), "iterations": 10000,
                     "perplexity_stderr": m.bootstrap_stderr(m.perplexity, xs, 10000),
                     "perplexity_stderr_100000": m.bootstrap_stderr(m.perplexity, xs, 100000) if n == 50 else None,
                     "acc": [int(x) for x in flags], "acc_mean": m.mean([int(x) for x in flags]),
                     "acc_stderr": m.mean_stderr([int(x) for x in flags])})
    sizes = [5, 9, 100, 3]
    rows.append({"sizes": sizes, "stderrs": [0.1, 0.2, 0.03, 0.25], "means": [0.2, 0.5, 0.7, 1.0],
                 "mean": m.aggregate_subtask_metrics([0.2, 0.5, 0.7, 1.0], sizes),
                 "stderr": m.pooled_sample_stderr([0.1, 0.2, 0.03, 0.25], sizes),
                 "mean_unweighted": m.aggregate_subtask_metrics([0.2, 0.5, 0.7, 1.0], sizes, False),
                 "stderr_unweighted": m.unweighted_mean_stderr([0.1, 0.2, 0.03, 0.25])})
    write("bootstrap", rows)

    rows = []
    for seed in (1234, 0, 42, 2 ** 32 + 5):
        for n, k in ((5, 5), (10, 3), (21, 5), (22, 5), (84, 6), (86, 6), (285, 25), (640, 5), (1119, 25), (2376, 26),
                     (7473, 5), (39905, 10), (40398, 5), (39905, 11)):
            pool = [{"i": i} for i in range(n)]
            sampler = ContextSampler(pool, rnd=seed)
            rows.append({"seed": seed, "n": n, "k": k,
                         "draws": [[d["i"] for d in sampler.sample(k)] for _ in range(4)]})
            if k < n:
                sampler = ContextSampler(pool, rnd=seed)
                rows.append({"seed": seed, "n": n, "k": k, "without": [0, 1, 2, 3],
                             "draws": [[d["i"] for d in sampler.sample(k, eval_doc=pool[j])] for j in range(4)]})
    write("shots", rows)


# ---- Runs with a model ----------------------------------------------------------------------------------------

def models():
    """Registers lm-eval's `hf` with a record of tokens, and the same with shared prefixes."""
    import torch
    from lm_eval.api.registry import register_model
    from lm_eval.models.huggingface import HFLM
    from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

    class Gaps(LogitsProcessor):
        def __init__(self):
            self.gaps = []

        def __call__(self, ids, scores):
            best = torch.topk(scores[0], 2).values
            self.gaps.append(float(best[0] - best[1]))
            return scores

    @register_model("hf-recorded")
    class Recorded(HFLM):
        tokens = {}
        gaps = {}

        def _loglikelihood_tokens(self, requests, **k):
            for text, context, continuation in requests:
                if text is not None:
                    Recorded.tokens[text] = (len(context), list(continuation))
            return self.score(requests, **k)

        def score(self, requests, **k):
            return super()._loglikelihood_tokens(requests, **k)

        def _model_generate(self, context, max_length, stop, **k):
            gaps = Gaps()
            out = super()._model_generate(context, max_length, stop,
                                          logits_processor=LogitsProcessorList([gaps]), **k)
            Recorded.gaps[tuple(context[0].tolist())] = gaps.gaps
            return out

    @register_model("hf-prefix")
    class Prefix(Recorded):
        def score(self, requests, **_):
            out, cache, held = [], None, []
            with torch.no_grad():
                for n, (_, context, continuation) in enumerate(requests):
                    ids = (context + continuation)[-(self.max_length + 1):][:-1]
                    scored = len(continuation)
                    same = 0
                    while same < min(len(held), len(ids) - scored) and held[same] == ids[same]:
                        same += 1
                    if same == 0 or cache is None:
                        cache, same = DynamicCache(), 0
                    elif same < len(held):
                        cache.crop(same - len(held))
                    logits = self.model(input_ids=torch.tensor([ids[same:]]), past_key_values=cache,
                                        use_cache=True, logits_to_keep=scored).logits[0].float()
                    held = ids
                    logp = torch.log_softmax(logits, -1)
                    want = torch.tensor(continuation)
                    got = logp.gather(1, want[:, None]).squeeze(1)
                    out.append((float(got.sum()), bool((logp.argmax(-1) == want).all())))
                    if n % 200 == 199:
                        print(f"  {n + 1}/{len(requests)}", file=sys.stderr, flush=True)
            return out

    return Recorded


def run(out, model, names, threads, limit, check, plain):
    import datasets
    import numpy
    import rouge_score
    import sacrebleu
    import torch
    import transformers
    from importlib.metadata import version
    torch.set_num_threads(threads)
    os.makedirs(os.path.join(out, "out"), exist_ok=True)
    local_data()
    recorded = models()
    import lm_eval
    from lm_eval.api.task import Task
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    # Keep the task objects of a run: simple_evaluate does not give them back.
    kept = {}
    plain_build = Task.build_all_requests

    def build(self, **k):
        plain_build(self, **k)
        kept[self.task_name] = self
    Task.build_all_requests = build
    manager = TaskManager()

    for name, what, shots, _, documents, mode in RUNS:
        label = f"{name}.{shots}"
        if documents == 0 or (names and name not in names and label not in names):
            continue
        documents = min(documents, limit or documents)
        modes = [("hf-prefix" if mode == "prefix" else "hf-recorded", "")]
        if plain:
            modes = [("hf", ".plain")]
        if check:
            documents = min(check, documents)
            modes = [("hf-recorded", ".check-plain"), ("hf-prefix", ".check-prefix")]
        scores = []
        for kind, suffix in modes:
            kept.clear()
            recorded.tokens.clear()
            recorded.gaps.clear()
            args = f"pretrained={model},dtype=float32"
            where = os.path.join(out, "out", label + suffix)
            tracker = EvaluationTracker(output_path=os.path.join(out, "lm_eval", label + suffix))
            load = os.getloadavg()
            start, cpu = time.time(), time.process_time()
            results = lm_eval.simple_evaluate(
                model=kind, model_args=args, tasks=[what], num_fewshot=shots, batch_size=1, device="cpu",
                limit=documents, **asking(mode), log_samples=True, evaluation_tracker=tracker, task_manager=manager)
            wall, cpu = time.time() - start, time.process_time() - cpu
            rows = []
            for task_name, task in kept.items():
                for r, row in requests_of(task, task_name) if not plain else ():
                    answer = r.resps[0]
                    if r.request_type == "loglikelihood":
                        row["loglikelihood"], row["greedy"] = answer
                        row["context_tokens"], row["continuation_ids"] = recorded.tokens[r.args]
                    elif r.request_type == "generate_until":
                        row["generated"] = answer
                        ids = transformers_ids(model, row["context"])
                        row["context_tokens"] = len(ids)
                        row["gaps"] = [round(g, 5) for g in recorded.gaps[tuple(ids)]]
                    else:
                        row["loglikelihood"] = answer
                    rows.append(row)
            with open(where + ".scores.jsonl", "w", encoding="utf-8") as f:
                for row in rows:
                    f.write(json.dumps(row, ensure_ascii=False) + "\n")
            scores.append(rows)
            samples = results.pop("samples")
            tracker.save_results_aggregated(results=results, samples=samples)
            for task_name in results["configs"]:
                tracker.save_results_samples(task_name=task_name, samples=samples[task_name])
            folder = os.path.join(out, "lm_eval", label + suffix)
            found = sorted(os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs)
            newest = max(f for f in found if os.path.basename(f).startswith("results_"))
            date = os.path.basename(newest)[len("results_"):-len(".json")]
            with open(newest, encoding="utf-8") as f, open(where + ".results.json", "w", encoding="utf-8") as g:
                g.write(f.read())
            with open(where + ".samples.jsonl", "w", encoding="utf-8") as g:
                for path in found:
                    if os.path.basename(path).startswith("samples_") and path.endswith(date + ".jsonl"):
                        with open(path, encoding="utf-8") as f:
                            g.write(f.read())
            with open(where + ".run.json", "w", encoding="utf-8") as f:
                json.dump({
                    "run": label, "task": what, "shots": shots, "limit": documents, "mode": mode, "model": kind,
                    "model_args": args, "requests": len(rows), "threads": threads, "wall_seconds": round(wall, 2),
                    "cpu_seconds": round(cpu, 2), "load_before": load, "load_after": os.getloadavg(),
                    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                    "seeds": {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234},
                    "versions": {"python": sys.version.split()[0], "torch": torch.__version__,
                                 "transformers": transformers.__version__, "datasets": datasets.__version__,
                                 "lm_eval": version("lm_eval"), "sacrebleu": sacrebleu.__version__,
                                 "rouge_score": version("rouge_score"), "numpy": numpy.__version__}}, f, indent=1)
            short = {t: {k: v for k, v in r.items() if "," in k} for t, r in results["results"].items()}
            if name == "mmlu":
                short = short["mmlu"]
            print(f"{label}{suffix}: {len(rows)} requests, {wall:.1f} s, load {load[0]:.1f}; {short}", flush=True)
        if check:
            a, b = scores
            far = max(abs(x["loglikelihood"] - y["loglikelihood"]) for x, y in zip(a, b))
            flags = sum(x.get("greedy") != y.get("greedy") for x, y in zip(a, b))
            print(f"{label}: plain and prefix differ by at most {far:.3g} in {len(a)} requests, {flags} greedy flags")


def transformers_ids(model, text, held={}):
    if model not in held:
        from transformers import AutoTokenizer
        held[model] = AutoTokenizer.from_pretrained(model)
    return held[model](text).input_ids


def main():
    parser = argparse.ArgumentParser(description="lm-eval's prompts and scores on local files")
    parser.add_argument("command", choices=("data", "render", "metrics", "run", "list"))
    parser.add_argument("runs", nargs="*", help="TASK or TASK.SHOTS; none: all")
    parser.add_argument("--out", required="list" not in sys.argv[1:])
    parser.add_argument("--model", help="directory in Hugging Face's format")
    parser.add_argument("--template", help="of render: a Jinja file in place of the model's chat template")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, default=0, help="documents at most")
    parser.add_argument("--plain", action="store_true", help="run: lm-eval alone, without the record of tokens, to time it; files TASK.SHOTS.plain.*")
    parser.add_argument("--check", type=int, default=0, help="compare plain and prefix on so many documents")
    args = parser.parse_intermixed_args()
    random.seed(0)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    if args.command == "data":
        write_data(args.out)
    elif args.command == "render":
        render(args.out, args.model, args.runs, args.template, args.limit)
    elif args.command == "metrics":
        metrics(args.out)
    elif args.command == "run":
        run(args.out, args.model, args.runs, args.threads, args.limit, args.check, args.plain)
    else:
        for name, what, shots, limit, documents, mode in RUNS:
            print(f"{name}.{shots}: {limit} rendered, {documents} scored, {mode}")


if __name__ == "__main__":
    main()
