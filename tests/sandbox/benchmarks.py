#!/usr/bin/env python3
"""The reference solutions of the benchmarks in the sandbox: each has to pass. Usage: benchmarks.py JUDGE [DATA] [NAME...]
Names: humaneval mbpp humanevalplus mbppplus golden; only when named: samples (16,400 programs), infilling, cruxeval, humanevalpack (all by `starchat eval`
beside JUDGE), bigcodebench (with PYTHON=interpreter with its libraries). Last line: "N passed, N failed"."""
import gzip, json, os, re, subprocess, sys, tempfile, time

judge, data = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "../shared/data/eval"
named = sys.argv[3:]
CORES = len(os.sched_getaffinity(0))


def rows(name):
    path = os.path.join(data, name)
    with (gzip.open if name.endswith(".gz") else open)(path, "rt") as f:
        return json.load(f) if name.endswith((".json", ".json.gz")) else [json.loads(line) for line in f]


def run(jobs):
    p = subprocess.Popen([judge, str(CORES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    import threading
    def feed():
        for job in jobs:
            p.stdin.write(json.dumps(job) + "\n")
        p.stdin.close()
    threading.Thread(target=feed, daemon=True).start()
    begun, out = time.time(), {}
    for line in p.stdout:
        result = json.loads(line)
        if "refused" in result:
            print("skipped: " + result["refused"])
            sys.exit(0)
        out[result["id"]] = result
    return out, time.time() - begun


def humaneval_job(row, solution, id):
    return {"id": id, "candidate": solution, "helper": row["prompt"], "entry": row["entry_point"], "tests": row["test"] + "\ncheck(" + row["entry_point"] + ")", "call_seconds": 10, "total_seconds": 60}


def humaneval():
    return [humaneval_job(r, r["prompt"] + r["canonical_solution"], r["task_id"]) for r in rows("humaneval/HumanEval.jsonl.gz")]


def entry_of(tests, code):
    """The function of an MBPP task: the first name called in an assertion that the reference defines."""
    for name in re.findall(r"([A-Za-z_]\w*)\s*\(", tests):
        if re.search(r"^(def|class)\s+%s\b" % name, code, re.M):
            return name
    return "?"


def mbpp():
    out = []
    for r in rows("mbpp/mbpp.jsonl"):
        tests = r["test_setup_code"] + "\n" + "\n".join(r["test_list"] + r["challenge_test_list"])
        out.append({"id": "mbpp/%d" % r["task_id"], "candidate": r["code"], "entry": entry_of("\n".join(r["test_list"]), r["code"]), "tests": tests, "call_seconds": 30, "total_seconds": 60})
    for r in rows("mbpp/sanitized-mbpp.json"):
        out.append({"id": "sanitized/%d" % r["task_id"], "candidate": r["code"], "entry": entry_of("\n".join(r["test_list"]), r["code"]), "helper": "\n".join(r["test_imports"]), "tests": "\n".join(r["test_list"]), "call_seconds": 30, "total_seconds": 60})
    return out


ROOT_ORACLE = "\ndef oracle(args, out, expected):\n    return abs(poly(*args, out)) <= %r\n"


def plus_job(row, solution, id, special):
    oracle, more = special.get(row["entry_point"], ("", ""))
    return {"id": id, "mode": "differential", "candidate": solution, "helper": row["prompt"] + more, "reference": row["prompt"] + row["canonical_solution"], "entry": row["entry_point"],
            "base_inputs": json.dumps(row["base_input"]), "plus_inputs": json.dumps(row["plus_input"]), "oracle": oracle, "atol": row["atol"]}


HUMANEVAL_SPECIAL = {"find_zero": ("helper", ROOT_ORACLE % 1e-4)}
MBPP_SPECIAL = {n: ("set", "") for n in ("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum", "intersection_array", "find_dissimilar", "Diff")}
MBPP_SPECIAL.update({n: ("not-none", "") for n in ("check_str", "text_match_three", "text_starta_endb")})
MBPP_SPECIAL.update({"are_equivalent": ("any", ""), "sum_div": ("or-zero", "")})


def humanevalplus():
    return [plus_job(r, r["prompt"] + r["canonical_solution"], "plus/" + r["task_id"], HUMANEVAL_SPECIAL) for r in rows("humanevalplus-mini/HumanEvalPlus-Mini.jsonl")]


# What JSON cannot say of MBPP+'s inputs: where tuples, sets and complex numbers stand, by task.
TUPLES = "def prepare_inputs(inputs):\n    return %s\n"
MBPP_PREPARE = {}
for ids, how in (((2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809), "[[tuple(x) for x in i] for i in inputs]"),
                 ((63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), "[[[tuple(x) for x in y] for y in i] for i in inputs]"),
                 ((75, 413, 444, 753), "[[[tuple(x) for x in i[0]]] + [i[1]] for i in inputs]"), ((106, 750), "[[i[0]] + [tuple(i[1])] for i in inputs]"),
                 ((115,), "[[[set(x) if isinstance(x, list) and len(x) else {} for x in i[0]]] for i in inputs]"), ((124,), "[(float(i[0]), complex(i[1])) for i in inputs]"),
                 ((250, 405, 446, 617, 720, 808), "[[tuple(i[0])] + [i[1]] for i in inputs]"), ((259, 401, 445), "[[tuple(tuple(x) for x in y) for y in i] for i in inputs]"),
                 ((278,), "[[tuple(tuple(x) if isinstance(x, list) else x for x in i[0])] for i in inputs]"), ((307,), "[[tuple(i[0])] + [i[1], i[2]] for i in inputs]"),
                 ((722,), "[[{k: tuple(v) for k, v in i[0].items()}] + i[1:] for i in inputs]"), ((252,), "[[complex(i[0])] for i in inputs]"),
                 ((580, 615, 791), "[[deep(x) for x in i] for i in inputs]\ndef deep(x):\n    return tuple(deep(y) for y in x) if isinstance(x, list) else x")):
    for i in ids:
        MBPP_PREPARE[i] = TUPLES % how


def mbppplus():
    out = []
    for r in rows("mbppplus/MbppPlus-v0.1.0.jsonl.gz"):
        job = plus_job(r, r["prompt"] + r["canonical_solution"], "plus/" + r["task_id"], MBPP_SPECIAL)
        job["helper"] += "\n" + MBPP_PREPARE.get(int(r["task_id"].split("/")[1]), "")
        out.append(job)
    return out


# 255: one input whose result, 128 million items, cannot cross. 599: adds numbers one by one for longer than the 61 s that EvalPlus allows too.
KNOWN = ("plus/Mbpp/255", "plus/Mbpp/599")


def check(name, jobs):
    results, seconds = run(jobs)
    bad = [(i, r) for i, r in results.items() if r.get("outcome") != "pass" or r.get("plus") not in ("pass", "skipped")]
    for i, r in bad:
        print("%s: %s %s %s" % (i, r.get("outcome"), r.get("plus"), r.get("detail", r.get("error"))))
    print("%s: %d of %d, %.1f s" % (name, len(jobs) - len(bad), len(jobs), seconds), flush=True)
    bad = [i for i, r in bad if i not in KNOWN]
    return len(jobs) - len(bad), len(bad) + len(jobs) - len(results)


def golden():
    """Verdicts of EvalPlus. Its plus inputs were the full set and ours is the small one, so a plus pass of ours where it failed is the data's."""
    tasks = {r["task_id"]: r for r in rows("humanevalplus-mini/HumanEvalPlus-Mini.jsonl")}
    stored = rows("evalplus-golden/qwen2.5-coder-1.5b-base.humaneval.generated_eval_results.json")["eval"]
    jobs = [plus_job(tasks[i], e["solution"], "%s#%d" % (i, k), HUMANEVAL_SPECIAL) for i, list_ in stored.items() for k, e in enumerate(list_)]
    results, seconds = run(jobs)
    base = plus = easier = 0
    for job in jobs:
        i, k = job["id"].split("#")
        e, r = stored[i][int(k)], results[job["id"]]
        base += (e["base_status"] == "pass") == (r["outcome"] == "pass")
        same = (e["plus_status"] == "pass") == (r["plus"] == "pass")
        plus += same
        easier += not same and r["plus"] == "pass"
        if not same or (e["base_status"] == "pass") != (r["outcome"] == "pass"):
            print("%s: stored %s/%s, here %s/%s %s" % (job["id"], e["base_status"], e["plus_status"], r["outcome"], r["plus"], r["detail"]))
    print("golden: base %d, plus %d of %d (%d more pass the small set of plus inputs), %.1f s" % (base, plus, len(jobs), easier, seconds))
    good = base >= 0.99 * len(jobs) and plus + easier >= 0.99 * len(jobs)
    return int(good), int(not good)


def samples():
    # The two files are not in the same order; a prompt is of the task whose function it defines last.
    of = {re.findall(r"^def (\w+)\(", s["prompt"], re.M)[-1]: s for s in rows("codegen16b-samples/HumanEval_codegen16B_n100.jsonl.gz")}
    jobs = [dict(humaneval_job(t, of[t["entry_point"]]["prompt"] + x, "%s#%d" % (t["task_id"], k)), call_seconds=3, total_seconds=6)
            for t in rows("humaneval/HumanEval.jsonl.gz") for k, x in enumerate(of[t["entry_point"]]["samples"])]
    every = int(os.environ.get("SAMPLES_EVERY", "1"))
    results, seconds = run(jobs[::every])
    count = {}
    for r in results.values():
        count[r.get("outcome", "error")] = count.get(r.get("outcome", "error"), 0) + 1
    print("samples: %d programs in %.1f minutes on %d cores: %s" % (len(results), seconds / 60, CORES, count))
    setup = count.get("setup-error", 0)
    return len(results) - setup, setup


def stored(task, answers, outcome=None, known=(), more=()):
    """Stored answers through `starchat eval`: each has to pass, or (outcome "fails") not to."""
    with tempfile.TemporaryDirectory(prefix="starchat-benchmarks-") as place:
        path, out = os.path.join(place, "samples.jsonl"), os.path.join(place, "out.json")
        with open(path, "w") as f:
            f.writelines(json.dumps({"task_id": i, "completion": c}) + "\n" for i, c in answers)
        p = subprocess.run([os.path.join(os.path.dirname(judge), "starchat"), "eval", "--tasks", task, "--data", data, "--samples", path, "--out", out, "--quiet", *more], capture_output=True, text=True)
        if p.returncode:
            print("%s: %s" % (task, p.stderr.strip().split("\n")[-1]))
            return 0, len(answers)
        with open(out) as f:
            results = json.load(f)
    ends = [(s["doc"].get("task_id", s["doc"].get("id")), p) for s in results["samples"][task] for p in s["programs"]]
    bad = [(i, p) for i, p in ends if (p["outcome"] == "pass") == (outcome == "fails")]
    for i, p in bad:
        print("%s %s: %s %s" % (task, i, p["outcome"], p["detail"]))
    about = results["programs"][task]
    print("%s%s: %d of %d, %d not judged, %.1f s" % (task, " (wrong answers)" if outcome else "", len(ends) - len(bad), len(answers), len(about.get("not_judged", ())), about["seconds"]), flush=True)
    return len(ends) - len(bad), sum(i not in known for i, p in bad)


def infilling():
    sets = {"single_line": "SingleLineInfilling", "multi_line": "MultiLineInfilling", "random_span": "RandomSpanInfilling", "random_span_light": "RandomSpanInfillingLight"}
    return [stored("humaneval_infilling_" + n, [(r["task_id"], r["canonical_solution"]) for r in rows("humaneval-infilling/HumanEval-%s.jsonl.gz" % f)]) for n, f in sets.items()]


def cruxeval():
    return [stored("cruxeval_" + kind, [(r["id"], "assert f(%s) == %s" % (r["input"], r["output"])) for r in rows("cruxeval/cruxeval.jsonl")]) for kind in ("input", "output")]


# Of the data: Go/27 imports what it does not use, Go/95 depends on the order of a map, the declarations of the others leave out functions that are called.
PACK_KNOWN = ("Go/27", "Go/95", "Go/10", "Go/32", "Go/38", "Go/50")


def humanevalpack():
    out = []
    for language in ("python", "js", "go", "cpp"):
        all_ = rows("humanevalpack/%s.jsonl.gz" % language)
        for task in ("humanevalsynthesize-", "humanevalfixtests-"):
            out.append(stored(task + language, [(r["task_id"], r["canonical_solution"]) for r in all_], known=PACK_KNOWN))
        out.append(stored("humanevalfixtests-" + language, [(r["task_id"], r["buggy_solution"]) for r in all_], outcome="fails"))
    return out


def bigcodebench():
    answers = [(r["task_id"], r["canonical_solution"]) for r in rows("bigcodebench-hard/bigcodebench_hard.json.gz").values()]
    return [stored("bigcodebench_hard_complete", answers, more=["--python", os.environ["PYTHON"]] if "PYTHON" in os.environ else [])]


passed = failed = 0
for name in named or ["humaneval", "mbpp", "humanevalplus", "mbppplus", "golden"]:
    if name in ("infilling", "cruxeval", "humanevalpack", "bigcodebench"):
        for p, f in globals()[name]():
            passed, failed = passed + p, failed + f
        continue
    p, f = {"golden": golden, "samples": samples}[name]() if name in ("golden", "samples") else check(name, globals()[name]())
    passed, failed = passed + p, failed + f
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
