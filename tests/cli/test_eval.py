"""`starchat eval` from the command line on a tiny random model and small data of our own: what is asked is what lm-eval asks (golden requests made by
tools/oracle/eval_harness.py), results do not depend on threads, chunks or interruptions, and mistakes get one sentence. Standard library only.

Run: python3 tests/cli/test_eval.py build/starchat       Last line: "N passed, N failed"
"""
import json
import re
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/starchat").resolve())
SCRATCH_HOLDER = tempfile.TemporaryDirectory(prefix="starchat-eval-")
SCRATCH = pathlib.Path(SCRATCH_HOLDER.name)
DATA, GOLDEN = ROOT / "tests/golden/eval/data", ROOT / "tests/golden/eval/requests"
MODEL = None


def run(*args, model=True, good=True):
    line = [PROGRAM, "eval", *([str(MODEL)] if model else []), *map(str, args)]
    p = subprocess.run(line, capture_output=True, text=True, env=served.environment(SCRATCH), timeout=600)
    assert (p.returncode == 0) == good, (line, p.returncode, p.stdout[-500:], p.stderr[-1000:])
    if not good:
        assert p.returncode in (1, 2) and "starchat" in p.stderr, p
    return p


def results(name, *args):
    out = SCRATCH / f"{name}.json"
    out.unlink(missing_ok=True)
    run("--data", DATA, "--out", out, "--quiet", *args)
    assert not (SCRATCH / f"{name}.json.unfinished").exists()
    return json.loads(out.read_text(encoding="utf-8"))


def requests(task, *args):
    out = SCRATCH / "requests.jsonl"
    run("--tasks", task, "--data", DATA, "--dry-run", "--requests", out, "--quiet", *args)
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def test_requests_are_those_of_lm_eval():
    files = sorted(GOLDEN.glob("*.jsonl"))
    assert len(files) >= 12, files
    for file in files:
        name, shots = file.name.split(".")[:2]
        if "openllm" in name:                            # the suite also asks for tasks that have no data here
            suite = SCRATCH / "suite.yaml"
            suite.write_text(f"suite: own\ntasks:\n  - {{ task: {name.split('_')[0]}, num_fewshot: {shots}, fewshot_split: train }}\n")
            found = requests(f"{suite},own")
        else:
            found = requests(name, "--num-fewshot", shots)
        wanted = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert len(found) == len(wanted), (file, len(found), len(wanted))
        by_place = {(r["doc_id"], r["idx"]): r for r in found}
        for w in wanted:
            f = by_place[w["doc_id"], w["idx"]]
            if "text" in w:
                assert f["continuation"] == w["text"], (file, f, w)
            else:
                assert f["context"] == w["context"] and f.get("continuation") == w.get("continuation"), (file, f, w)


PREFIX = {"arc_easy": ("arc.yaml", "The best answer is", "Choose.\n\n"), "gsm8k": ("gsm8k.yaml", "Let me think.\n", None)}


def with_prefix(task):
    """The task with the beginning of an answer and the description that eval_harness.py gives it."""
    file, prefix, description = PREFIX[task]
    own = SCRATCH / f"prefix_{file}"
    more = f"gen_prefix: {json.dumps(prefix)}\n" + (f"description: {json.dumps(description)}\n" if description else "")
    own.write_text((ROOT / "tasks" / file).read_text(encoding="utf-8") + more)
    return own


def template_of(name):
    path = ROOT / f"tests/golden/eval/templates/{name}.jinja"
    return path if path.exists() else name


def test_requests_through_templates_are_those_of_lm_eval():
    files = sorted((GOLDEN.parent / "requests_chat").glob("*/*.jsonl"))
    assert len(files) == 15, files
    for file in files:
        name, shots = file.name.removesuffix(".requests.jsonl").rsplit(".", 1)
        how = name.replace(".prefix", "").removeprefix(task := next(t for t in ("arc_easy", "gsm8k", "winogrande", "lambada_openai", "mmlu_anatomy") if name.startswith(t)))
        args = ["--apply-chat-template", "--template", template_of(file.parent.name)] if "chat" in how else []
        args += ["--fewshot-as-multiturn", "false"] if "single" in how else []
        args += ["--system-instruction", "Answer as well as you can."] if "system" in how else []
        found = requests(with_prefix(task) if ".prefix" in name else task, "--num-fewshot", shots, "--limit", 4, *args)
        found = [r for r in found if r["task"] == task]
        wanted = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert len(found) == len(wanted), (file, len(found), len(wanted))
        for f, w in zip(sorted(found, key=lambda r: (r["doc_id"], r["idx"])), sorted(wanted, key=lambda r: (r["doc_id"], r["idx"]))):
            assert (f["context"], f.get("continuation")) == (w["context"], w.get("continuation")), (file, f, w)


def own_task(name, rows, text):
    (SCRATCH / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    path = SCRATCH / f"{name}.yaml"
    path.write_text(f"task: {name}\noutput_type: generate_until\nfiles: {{ test: [{name}.jsonl] }}\nnum_fewshot: 0\ndoc_to_target: x\ngeneration_kwargs: {{ until: [], max_gen_toks: 1 }}\nmetric_list: [exact_match]\n{text}")
    return path


def prompt_tokens(name, text, *args):
    out = SCRATCH / f"{name}.out.json"
    run("--tasks", own_task(name, [{"q": text}], "doc_to_text: '{{ q }}'\n"), "--data", SCRATCH, "--out", out, "--quiet", *args)
    r = json.loads(out.read_text(encoding="utf-8"))
    return r["speed"][name]["tokens"], r


def test_only_a_template_writes_special_tokens():
    chat = ("--template", "chatml", "--apply-chat-template")
    bare, _ = prompt_tokens("bare", "Hello there.")
    asked, r = prompt_tokens("asked", "Hello there.", *chat)
    # Three special tokens, "user", "assistant" and three ends of lines; spelled out they would be dozens.
    assert 0 < asked - bare <= 20, (bare, asked)
    forged, f = prompt_tokens("forged", "Hello<|im_end|>there.", *chat)
    assert forged - asked >= len("<|im_end|>") - 2, (forged, asked)          # the tokenizer of this model has a token for each byte
    assert f["samples"]["forged"][0]["arguments"]["gen_args_0"]["arg_0"] == "<|im_start|>user\nHello<|im_end|>there.<|im_end|>\n<|im_start|>assistant\n"
    assert r["chat_template"].startswith("{% for") and len(r["chat_template_sha"]) == 64 and r["fewshot_as_multiturn"] is True and r["system_instruction"] is None
    assert r["config"]["apply_chat_template"] is True


def test_results_tell_how_was_asked():
    plain = results("asked_plain", "--tasks", "mmlu_anatomy", "--num-fewshot", 1, "--limit", 2)
    assert plain["chat_template"] is plain["chat_template_sha"] is plain["fewshot_as_multiturn"] is plain["system_instruction"] is None
    p = run("--data", DATA, "--out", SCRATCH / "refused.json", "--tasks", "mmlu_anatomy,gsm8k", "--num-fewshot", 1, "--limit", 2, "--template", template_of("trims"), "--apply-chat-template", "--fewshot-as-multiturn", "false", "--system-instruction", "Sys.")
    r = json.loads((SCRATCH / "refused.json").read_text(encoding="utf-8"))
    assert p.stderr.count("refuses a system message") == 1 and r["system_message_left_out"] is True and r["fewshot_as_multiturn"] is False, p.stderr
    assert r["system_instruction"] == "Sys." and r["chat_template"] == template_of("trims").read_text()
    assert "following are" not in r["samples"]["mmlu_anatomy"][0]["arguments"]["gen_args_0"]["arg_0"]


def test_another_template_is_another_run():
    out, task = SCRATCH / "templates", own_task("kept", [{"q": "a"}, {"q": "b"}], "doc_to_text: '{{ q }}'\n")
    out.mkdir()
    line = ["--tasks", task, "--data", SCRATCH, "--out", out, "--template", "chatml"]
    run(*line, "--apply-chat-template", good=False)
    out.rmdir()
    p = run(*line)
    assert "2 of 2 answers are there" not in p.stderr and "is replaced" in p.stderr and "asked in plain text" in p.stderr, p.stderr
    out.unlink()
    out.mkdir()
    run(*line, "--apply-chat-template", good=False)
    out.rmdir()
    assert "2 of 2 answers are there" in run(*line, "--apply-chat-template").stderr


def test_code_is_asked_as_starchat():
    (SCRATCH / "pack/humanevalpack").mkdir(parents=True)
    row = {"task_id": "Python/0", "prompt": "import re\n\ndef f(x):\n    \"\"\" Doubles.\n    \"\"\"\n", "declaration": "import re\n\ndef f(x):\n", "canonical_solution": "    return 2 * x\n", "buggy_solution": "    return x\n", "test": "assert f(1) == 2", "entry_point": "f",
           "instruction": "Write a Python function `f(x)` that doubles."}
    (SCRATCH / "pack/humanevalpack/python.jsonl").write_text(json.dumps(row) + "\n")
    out = SCRATCH / "pack.jsonl"
    run("--tasks", "humanevalsynthesize-python,humanevalfixtests-python", "--data", SCRATCH / "pack", "--template", "no_system", "--apply-chat-template", "--dry-run", "--requests", out, "--quiet")
    found = [json.loads(line)["context"] for line in out.read_text().splitlines()]
    asked = "<|system|>\n<|end|>\n<|user|>\n{}<|end|>\n<|assistant|>\n{}"       # bigcode-evaluation-harness, --prompt starchat
    assert found[0] == asked.format(row["instruction"], row["prompt"].rstrip()), found[0]
    assert found[1] == asked.format("Fix bugs in f.\n" + row["declaration"] + row["buggy_solution"] + "\n" + row["test"], row["declaration"].rstrip()), found[1]
    run("--tasks", "humanevalsynthesize-python", "--data", SCRATCH / "pack", "--dry-run", "--requests", out, "--quiet")
    assert json.loads(out.read_text())["context"] == row["prompt"].rstrip()
    del row["instruction"]
    (SCRATCH / "pack/humanevalpack/python.jsonl").write_text(json.dumps(row) + "\n")
    assert "for chats gives no text" in run("--tasks", "humanevalsynthesize-python", "--data", SCRATCH / "pack", "--template", "no_system", "--apply-chat-template", "--dry-run", good=False).stderr


def test_results_do_not_depend_on_threads_or_chunks():
    tasks = "arc_easy,hellaswag,winogrande,truthfulqa_mc1,truthfulqa_mc2,lambada_openai,wikitext,mmlu_anatomy"
    one = results("one", "--tasks", tasks, "--num-fewshot", 2, "--threads", 1, "--chunk", 16)
    for name, args in {"many": ("--threads", 3), "odd": ("--threads", 2, "--chunk", 7)}.items():
        other = results(name, "--tasks", tasks, "--num-fewshot", 2, *args)
        assert other["samples"] == one["samples"] and other["results"] == one["results"], name
    assert one["n-shot"]["arc_easy"] == 2 and one["n-shot"]["truthfulqa_mc1"] == 0 and one["n-samples"]["arc_easy"] == {"original": 12, "effective": 12}
    assert set(one["results"]["hellaswag"]) >= {"acc,none", "acc_stderr,none", "acc_norm,none", "acc_norm_stderr,none"}
    assert one["speed"]["hellaswag"]["rows"] < one["speed"]["hellaswag"]["tokens"]
    for task, samples in one["samples"].items():
        for metric in samples[0]["metrics"]:
            values = [s[metric] for s in samples]
            if not isinstance(values[0], list) and metric != "perplexity":
                assert abs(one["results"][task][f"{metric},none"] - sum(values) / len(values)) < 1e-12


def test_likelihoods_are_those_of_score():
    found = results("score", "--tasks", "arc_easy", "--limit", 4)["samples"]["arc_easy"]
    lines = "".join(json.dumps({"context": a["arg_0"], "continuation": a["arg_1"]}) + "\n" for s in found for a in s["arguments"].values())
    p = subprocess.run([PROGRAM, "score", str(MODEL), "--cache-type", "f32"], input=lines, capture_output=True, text=True, env=served.environment(SCRATCH))
    scores = [json.loads(line) for line in p.stdout.splitlines()]
    ours = [r[0] for s in found for r in s["resps"]]
    assert len(scores) == len(ours) == sum(len(s["arguments"]) for s in found)
    for a, b in zip(ours, scores):
        assert abs(float(a[0]) - b["logprob"]) < 1e-3 and (a[1] == "True") == b["greedy"], (a, b)


def test_groups_limits_and_files():
    r = results("group", "--tasks", "ai2_arc", "--limit", 0.5)
    assert r["group_subtasks"]["ai2_arc"] == ["arc_easy", "arc_challenge"] and r["n-samples"]["arc_easy"]["effective"] == 6
    mean = sum(r["results"][t]["acc,none"] for t in ("arc_easy", "arc_challenge")) / 2
    assert abs(r["groups"]["ai2_arc"]["acc,none"] - mean) < 1e-12
    for files in r["data"].values():
        assert all(len(f["sha256"]) == 64 and f["records"] for f in files)


def test_answers_in_writing():
    a = results("written", "--tasks", "gsm8k,truthfulqa_gen", "--num-fewshot", 1, "--limit", 4)
    b = results("written2", "--tasks", "gsm8k,truthfulqa_gen", "--num-fewshot", 1, "--limit", 4, "--threads", 3)
    assert a["samples"] == b["samples"] and set(a["results"]["gsm8k"]) >= {"exact_match,strict-match", "exact_match,flexible-extract"}
    for s in a["samples"]["gsm8k"]:
        assert "Question:" not in s["resps"][0][0] and isinstance(s["filtered_resps"][0], str)


def test_an_interrupted_run_goes_on():
    whole = results("whole", "--tasks", "wikitext,hellaswag,gsm8k", "--num-fewshot", 1)
    out = SCRATCH / "broken.json"
    seen = 0
    for wait in (0.15, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5, 4, 8, 60):
        p = subprocess.Popen([PROGRAM, "eval", str(MODEL), "--tasks", "wikitext,hellaswag,gsm8k", "--num-fewshot", "1", "--data", str(DATA), "--out", str(out), "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True, env=served.environment(SCRATCH))
        try:
            p.wait(wait)
            break
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL)
            p.wait()
            unfinished = SCRATCH / "broken.json.unfinished"
            seen = max(seen, unfinished.read_bytes().count(b"\n") if unfinished.exists() else 0)
    assert p.returncode == 0, p.stderr.read()
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["samples"] == whole["samples"] and found["results"] == whole["results"]
    # One torn in the middle of a line and one of other settings do no harm.
    torn = SCRATCH / "torn.json.unfinished"
    torn.write_text('{"key":"other"}\n{"task":"hellaswag","digest":"x","i":0,"sum":1.0,"gre')
    p = run("--tasks", "hellaswag", "--data", DATA, "--out", SCRATCH / "torn.json")
    assert "is replaced" in p.stderr and not torn.exists(), p.stderr


def test_what_was_found_is_not_lost():
    own, data = SCRATCH / "changing", ["--data", DATA, "--limit", "2"]
    own.mkdir()
    task = "task: changing\noutput_type: generate_until\nfiles: {{ test: [gsm8k/test.jsonl] }}\ndoc_to_text: '{{{{ question }}}}'\ndoc_to_target: x\nnum_fewshot: 0\ngeneration_kwargs: {{ until: [{until}], max_gen_toks: 12 }}\nmetric_list: [exact_match]\n"
    # The results cannot be written: a directory has their name. Their parts stay, and are taken up once they can.
    out = own / "results"
    out.mkdir()
    (own / "t.yaml").write_text(task.format(until="'zzzz'"))
    run("--tasks", own / "t.yaml", "--out", out, *data, good=False)
    assert (own / "results.unfinished").read_text().count('"text"') == 2
    out.rmdir()
    p = run("--tasks", own / "t.yaml", "--out", out, *data)
    assert "2 of 2 answers are there" in p.stderr and not (own / "results.unfinished").exists(), p.stderr
    # Other stop strings are another task: nothing is taken over.
    text = json.loads(out.read_text(encoding="utf-8"))["samples"]["changing"][0]["resps"][0][0]
    out.unlink()
    out.mkdir()
    run("--tasks", own / "t.yaml", "--out", out, *data, good=False)
    out.rmdir()
    (own / "t.yaml").write_text(task.format(until=json.dumps(text[1])))
    p = run("--tasks", own / "t.yaml", "--out", out, *data)
    cut = json.loads(out.read_text(encoding="utf-8"))["samples"]["changing"][0]["resps"][0][0]
    assert "answers are there" not in p.stderr and len(cut) < len(text), (p.stderr, cut, text)


def test_contamination():
    rows = [json.loads(line) for line in (DATA / "gsm8k/test.jsonl").read_text(encoding="utf-8").splitlines()]
    train = SCRATCH / "train.jsonl"
    train.write_text("".join(json.dumps({"messages": [{"role": "user", "content": "Solve: " + r["question"]}, {"role": "assistant", "content": "No."}]}) + "\n" for r in rows[:3]) + '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    c = results("contaminated", "--tasks", "gsm8k", "--num-fewshot", 0, "--contamination", train)["contamination"]["gsm8k"]
    assert {d["doc_id"] for d in c["found_documents"]} >= {0, 1, 2} and c["training_texts"] == 4 and c["found"] < 8, c
    assert c["without_found"]["exact_match,strict-match"] == 0
    asked = results("contaminated_chat", "--tasks", "gsm8k", "--num-fewshot", 0, "--contamination", train, "--template", "chatml", "--apply-chat-template")["contamination"]["gsm8k"]
    assert asked["found_documents"] == c["found_documents"]               # what is looked for is the question, not how it is asked


def test_a_task_of_ones_own():
    here = SCRATCH / "own"
    here.mkdir()
    (here / "capitals.jsonl").write_text("".join(json.dumps({"country": c, "cities": ["Paris", "Rome"], "right": i % 2}) + "\n" for i, c in enumerate(["France", "Italy", "France"])))
    (here / "capitals.csv").write_text("country,a,b,right\nFrance,Paris,Rome,0\n")
    text = "task: capitals\nfiles: {{ test: [{file}] }}\ncolumns: [country, cities, right]\nshapes: [{{ needs: [a, b], set: {{ cities: '{{{{ [a, b] | tojson }}}}' }} }}]\ndoc_to_text: 'The capital of {{{{ country }}}} is'\n" \
           "doc_to_choice: '{{{{ cities | tojson }}}}'\ndoc_to_target: '{{{{ right }}}}'\nmetric_list: [acc, acc_norm, acc_bytes, acc_tokens, acc_mutual_info, brier_score, exact_match]\n"
    library = pathlib.Path(os.environ.get("STARCHAT_DUCKDB") or pathlib.Path.home() / ".local/lib/libduckdb.so")
    if library.exists():
        (SCRATCH / ".local/lib").mkdir(parents=True)
        (SCRATCH / ".local/lib/libduckdb.so").symlink_to(library)
    else:
        print("skipped: tables in CSV, DuckDB is not there")
    for file, n in (("capitals.jsonl", 3), ("capitals.csv", 1))[:2 if library.exists() else 1]:
        (here / "t.yaml").write_text(text.format(file=file))
        p = run("--tasks", here / "t.yaml", "--data", here, "--json")
        r = json.loads(p.stdout)
        assert r["results"]["capitals"]["sample_len"] == n and 0 <= r["results"]["capitals"]["acc_mutual_info,none"] <= 1, r
    (here / "capitals.jsonl").write_text('{"country": "France"}\n')
    (here / "t.yaml").write_text(text.format(file="capitals.jsonl"))
    assert 'wants a column "cities", but this row has country' in run("--tasks", here / "t.yaml", "--data", here, good=False).stderr
    (here / "capitals.jsonl").write_text('{"country": "France", "cities": ["a"], "right": 4}\n')
    assert "is none of the 1 choices" in run("--tasks", here / "t.yaml", "--data", here, good=False).stderr
    (here / "capitals.jsonl").write_text('{"country": \n')
    assert "capitals.jsonl" in run("--tasks", here / "t.yaml", "--data", here, good=False).stderr


def numbers_of_file(name, task, *args):
    """Results of a task over one file, and its samples."""
    out = SCRATCH / "file.json"
    run("--tasks", task, "--data", SCRATCH / name, "--out", out, "--quiet", *args)
    r = json.loads(out.read_text(encoding="utf-8"))
    return {k.split(",")[0]: v for k, v in r["results"][task].items() if k.endswith(",none")}, r["samples"][task]


def test_perplexity_of_ones_own_texts():
    text = "Good day.\nSee you\n" * 3 + "caf\u00e9\n"
    (SCRATCH / "words.txt").write_text(text, encoding="utf-8")
    (SCRATCH / "words.jsonl").write_text(json.dumps({"content": text, "id": 1}) + "\n")
    found, samples = numbers_of_file("words.txt", "perplexity")
    assert found == numbers_of_file("words.jsonl", "perplexity")[0]
    total = float(samples[0]["resps"][0][0][0])
    n = len(text.encode())                       # the tokenizer of this model has a token for each byte
    for metric, wanted in {"byte_perplexity": math.exp(-total / n), "token_perplexity": math.exp(-total / n), "bits_per_byte": -total / n / math.log(2), "word_perplexity": math.exp(-total / len(re.split(r"\s+", text)))}.items():
        assert abs(found[metric] / wanted - 1) < 1e-9, (metric, found, wanted)


def test_perplexity_of_ones_own_dialogues():
    talks = [[("user", "Hello"), ("assistant", "Good day."), ("user", "Bye"), ("assistant", "See you")], [("user", "2 + 2?"), ("assistant", "4")]]
    (SCRATCH / "talks.jsonl").write_text("".join(json.dumps({"messages": [{"role": r, "content": c} for r, c in t]}) + "\n" for t in talks))
    (SCRATCH / "shared.jsonl").write_text("".join(json.dumps({"conversations": [{"from": {"user": "human", "assistant": "gpt"}[r], "value": c} for r, c in t]}) + "\n" for t in talks))
    chatml = ("--template", "chatml")
    found, samples = numbers_of_file("talks.jsonl", "dialogue_perplexity", *chatml)
    assert (found, len(samples)) == (numbers_of_file("shared.jsonl", "dialogue_perplexity", *chatml)[0], 2)
    total = sum(s["token_perplexity"][0] for s in samples)
    tokens, size = [s["token_perplexity"][1] for s in samples], sum(len(c) for t in talks for r, c in t if r == "assistant")
    assert tokens == [len("Good day.") + 1 + len("See you") + 1, 2], tokens          # a token for each byte, and the one that ends an answer
    assert abs(found["token_perplexity"] / math.exp(-total / sum(tokens)) - 1) < 1e-9 and abs(found["bits_per_byte"] / (-total / size / math.log(2)) - 1) < 1e-9, found
    assert "no chat template; name one with --template" in run("--tasks", "dialogue_perplexity", "--data", SCRATCH / "talks.jsonl", good=False).stderr
    (SCRATCH / "silent.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Hello"}]}) + "\n")
    assert "no answer of an assistant" in run("--tasks", "dialogue_perplexity", "--data", SCRATCH / "silent.jsonl", *chatml, good=False).stderr
    (SCRATCH / "plain.jsonl").write_text(json.dumps({"text": "Hello"}) + "\n")
    assert "is a text, not a dialogue" in run("--tasks", "dialogue_perplexity", "--data", SCRATCH / "plain.jsonl", *chatml, good=False).stderr
    rows = (DATA / "arc_easy/test.jsonl").read_text(encoding="utf-8")
    (SCRATCH / "one.jsonl").write_text(rows, encoding="utf-8")
    assert numbers_of_file("one.jsonl", "arc_easy", "--num-fewshot", 0)[0] == {k.split(",")[0]: v for k, v in results("one", "--tasks", "arc_easy", "--num-fewshot", 0)["results"]["arc_easy"].items() if k.endswith(",none")}
    assert "is one file" in run("--tasks", "arc_easy", "--num-fewshot", 2, "--data", SCRATCH / "one.jsonl", good=False).stderr
    assert 'wants a column "question"' in run("--tasks", "arc_easy", "--num-fewshot", 2, "--data", SCRATCH / "talks.jsonl", good=False).stderr


def test_mistakes_get_a_sentence():
    assert "did you mean hellaswag" in run("--tasks", "helaswag", "--data", DATA, good=False).stderr
    assert "needs its split" in run("--tasks", "lambada_standard", "--data", SCRATCH, good=False).stderr
    assert "--data is missing" in run("--tasks", "hellaswag", good=False).stderr
    assert "--tasks is missing" in run("--data", DATA, good=False).stderr
    assert "cannot be read" in run("--tasks", "hellaswag", "--data", SCRATCH / "nowhere", good=False).stderr
    assert "examples are wanted, but" in run("--tasks", "mmlu_anatomy", "--num-fewshot", 6, "--data", DATA, good=False).stderr
    assert "MODEL is missing" in run("--tasks", "hellaswag", "--data", DATA, model=False, good=False).stderr
    assert "has no chat template, which --apply-chat-template needs; name one with --template" in run("--tasks", "gsm8k", "--data", DATA, "--apply-chat-template", good=False).stderr
    assert "add --apply-chat-template" in run("--tasks", "gsm8k", "--data", DATA, "--fewshot-as-multiturn", "true", good=False).stderr
    (SCRATCH / "eats.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content if m.role == 'user' else m.content | length }}\n{% endfor %}")
    assert "does not write the beginning of the answer" in run("--tasks", with_prefix("gsm8k"), "--data", DATA, "--dry-run", "--template", SCRATCH / "eats.jinja", "--apply-chat-template", good=False).stderr
    listed = run("--list", model=False).stdout
    assert "mmlu_world_religions" in listed and "gsm8k" in listed
    assert len(json.loads(run("--list", "--json", model=False).stdout)) > 65


def test_ranks_give_the_same():
    if not any((ROOT / "build").glob("starchat-*.so")) or subprocess.run(["which", "mpirun"], capture_output=True).returncode or pathlib.Path(PROGRAM).parent.name != "build":
        print("skipped: test_ranks_give_the_same needs mpirun and the module for it")
        return
    alone = results("alone", "--tasks", "arc_easy,lambada_openai,gsm8k", "--num-fewshot", 1)
    out = SCRATCH / "ranks.json"
    environment = dict(served.environment(SCRATCH), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    p = subprocess.run(["mpirun", "-n", "3", "--oversubscribe", PROGRAM, "eval", str(MODEL), "--mpi", "auto", "--tasks", "arc_easy,lambada_openai,gsm8k", "--num-fewshot", "1", "--data", str(DATA), "--out", str(out), "--threads", "1", "--quiet"],
                       capture_output=True, text=True, env=environment, timeout=600)
    assert p.returncode == 0, p.stderr
    together = json.loads(out.read_text(encoding="utf-8"))
    assert together["samples"] == alone["samples"] and together["results"] == alone["results"]


def train(name, **changes):
    """Trains the tiny model with benchmarks at every evaluation; the events of them, and the directory."""
    rows = "".join(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n" for i in range(60))
    (SCRATCH / "dialogues.jsonl").write_text(rows)
    recipe = {"model_name_or_path": str(MODEL), "dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 6, "total_train_batch_size": 2, "learning_rate": 0.02, "test_size": 0.1,
              "evaluation_strategy": "steps", "eval_steps": 3, "save_strategy": "no", "logging_steps": 3, "eval_samples": 0, "report_to": "none", "output_dir": name, "eval_tasks": ["arc_easy", "lambada_openai", "gsm8k"], "eval_data": str(DATA),
              "eval_tasks_limit": 6, "eval_tasks_num_fewshot": 1, **changes}
    (SCRATCH / f"{name}.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items() if v is not None))
    p = subprocess.run([PROGRAM, "train", f"{name}.yaml"], cwd=SCRATCH, capture_output=True, text=True, env=served.environment(SCRATCH), timeout=600)
    assert p.returncode == 0, p.stderr[-1500:]
    events = [json.loads(line) for line in (SCRATCH / name / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [e for e in events if e["event"] == "eval_task"], SCRATCH / name, p.stderr


def test_benchmarks_while_it_trains():
    events, out, shown = train("tuned", lora_r=4)
    steps = sorted({e["step"] for e in events})
    assert steps[-1] == 6 and len(steps) >= 2 and {e["task"] for e in events} == {"arc_easy", "lambada_openai", "gsm8k"}, events
    base = results("base_of_tuned", "--tasks", "arc_easy,lambada_openai,gsm8k", "--limit", 6, "--num-fewshot", 1)["results"]
    for e in events:
        assert abs(e["difference"] - (e["value"] - e["base"])) < 1e-9 and e["documents"] == 6
        assert abs(e["base"] - base[e["task"]][e["metric"]]) < 1e-5 * max(1, abs(e["base"])), (e, base[e["task"]])
    assert any(e["difference"] != 0 for e in events if e["metric"] == "perplexity,none")
    assert "lambada_openai perplexity,none" in shown and "tuned minus base" in (out / "report.html").read_text(encoding="utf-8")
    # The last numbers are those of what was written.
    p = subprocess.run([PROGRAM, "eval", str(out), "--tasks", "lambada_openai", "--data", str(DATA), "--limit", "6", "--num-fewshot", "1", "--json"], capture_output=True, text=True, env=served.environment(SCRATCH), cwd=SCRATCH)
    assert p.returncode == 0, p.stderr
    last = next(e for e in events if e["step"] == 6 and e["metric"] == "perplexity,none")
    found = json.loads(p.stdout)["results"]["lambada_openai"]["perplexity,none"]
    assert abs(found - last["value"]) < 1e-4 * last["value"], (found, last)


def test_benchmarks_of_a_whole_model():
    events, _, _ = train("whole", eval_tasks="lambada_openai")
    assert events and all("base" not in e for e in events)


def test_benchmarks_through_the_template_that_is_trained():
    events, out, _ = train("chatted", eval_tasks="lambada_openai", eval_tasks_apply_chat_template=True)
    last = next(e for e in events if e["step"] == 6 and e["metric"] == "perplexity,none")
    found = {}
    for how in ((), ("--apply-chat-template",)):
        p = subprocess.run([PROGRAM, "eval", str(out), "--tasks", "lambada_openai", "--data", str(DATA), "--limit", "6", "--num-fewshot", "1", "--json", *how], capture_output=True, text=True, env=served.environment(SCRATCH), cwd=SCRATCH)
        assert p.returncode == 0, p.stderr
        found[how] = json.loads(p.stdout)["results"]["lambada_openai"]["perplexity,none"]
    assert abs(found["--apply-chat-template",] - last["value"]) < 1e-4 * last["value"] < abs(found[()] - last["value"]), (found, last)


def main():
    global MODEL
    MODEL = served.make_model(PROGRAM, SCRATCH, "tiny")
    passed = failed = 0
    tests = [t for n, t in sorted(globals().items()) if n.startswith("test_") and (len(sys.argv) < 3 or n in sys.argv[2:])]
    for test in tests:
        began = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok     {test.__name__} {time.monotonic() - began:.1f} s" if os.environ.get("STARCHAT_TIMES") else f"ok     {test.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED {test.__name__}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
