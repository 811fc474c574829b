"""`starchat eval` on tasks of code, with small problems of our own: stored programs end as they should, in Python and in other languages that are installed,
pass@k is the unbiased one, a model's answers are run too, and mistakes get one sentence. Standard library only; skipped where no sandbox can be had.

Run: python3 tests/cli/test_eval_code.py build/starchat       Last line: "N passed, N failed"
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/starchat").resolve())
SCRATCH_HOLDER = tempfile.TemporaryDirectory(prefix="starchat-eval-code-")
SCRATCH = pathlib.Path(SCRATCH_HOLDER.name)
TASK = """task: own
output_type: code
files: {{ test: [own.jsonl] }}
num_fewshot: 0
doc_to_text: "{{{{ prompt }}}}"
doc_to_target: "x"
{more}
"""
CHECKED = """execution: { program: "{{ prompt }}{{ completion }}", tests: "{{ test }}", entry: "{{ entry_point }}", seconds: 5, total_seconds: 20 }
generation_kwargs: { until: ["\\ndef"], max_gen_toks: 4, do_sample: true, temperature: 1.0 }
repeats: 3
metric_list: ["pass@1", "pass@2"]
"""
PROBLEMS = [{"task_id": f"Own/{i}", "prompt": f"def f{i}(x):\n", "entry_point": f"f{i}", "test": f"assert f{i}(2) == {2 + i}\nassert f{i}(-1) == {i - 1}"} for i in range(2)]


def write(name, rows):
    (SCRATCH / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return SCRATCH / name


def run(*args, good=True):
    p = subprocess.run([PROGRAM, "eval", *map(str, args)], capture_output=True, text=True, env=dict(served.environment(SCRATCH), PATH=os.environ["PATH"], RUSTUP_HOME=os.environ.get("RUSTUP_HOME", str(pathlib.Path.home() / ".rustup"))), timeout=900)
    assert (p.returncode == 0) == good, (args, p.returncode, p.stdout[-500:], p.stderr[-1500:])
    return p


def results(more, samples, *args, problems=PROBLEMS):
    task, out = SCRATCH / "own.yaml", SCRATCH / "out.json"
    write("own.jsonl", problems)
    task.write_text(TASK.format(more=more))
    run("--tasks", task, "--data", SCRATCH, "--samples", write("samples.jsonl", samples), "--out", out, "--quiet", *args)
    return json.loads(out.read_text())


def test_stored_programs_end_as_they_should():
    wrong, cheat = "    return 7\n", "    import os\n    os._exit(0)\n"
    samples = [{"task_id": "Own/0", "completion": "    return x\n"}, {"task_id": "Own/0", "solution": "def f0(x):\n    return x + 0\n"}, {"task_id": "Own/0", "completion": wrong},
               {"task_id": "Own/1", "completion": "    return (\n"}, {"task_id": "Own/1", "completion": cheat}, {"task_id": "Own/1", "completion": "    return nothing\n"}]
    r = results(CHECKED, samples)
    ends = [[p["outcome"] for p in s["programs"]] for s in r["samples"]["own"]]
    assert ends[0] == ["pass", "pass", "fail"] and ends[1][0] == "syntax" and "pass" not in ends[1] and ends[1][2] == "error", ends
    assert "nothing" in r["samples"]["own"][1]["programs"][2]["detail"]
    own = r["results"]["own"]
    assert abs(own["pass@1,none"] - 1 / 3) < 1e-12 and own["pass@2,none"] == 0.5 and own["pass@3,none"] == 0.5, own      # 2 of 3: (2/3 + 0) / 2
    assert r["samples"]["own"][0]["filtered_resps"][0][0] == "def f0(x):\n    return x\n" and sum(r["programs"]["own"]["outcomes"].values()) == 6


def test_a_part_of_the_questions():
    r = results(CHECKED, [{"task_id": "Own/1", "completion": "    return x + 1\n"}, {"task_id": "Other/9", "completion": "x"}])
    assert r["results"]["own"]["pass@1,none"] == 1 and r["n-samples"]["own"] == {"original": 2, "effective": 1} and "pass@2,none" not in r["results"]["own"]


def test_base_and_more_inputs():
    more = """execution: { mode: differential, program: "{{ completion }}", reference: "{{ ref }}", entry: twice, inputs: base, more_inputs: plus }
metric_list: ["pass@1", "base_pass@1"]
"""
    problems = [{"task_id": 3, "prompt": "", "ref": "def twice(x):\n    return 2 * x\n", "base": [[1], [2.5]], "plus": [["ab"], [-4]]}]
    r = results(more, [{"task_id": "Own/3", "solution": "def twice(x):\n    return abs(x) * 2\n"}, {"task_id": 3, "solution": "def twice(x):\n    return x + x\n"}], problems=problems)
    assert r["results"]["own"]["pass@1,none"] == 0.5 and r["results"]["own"]["base_pass@1,none"] == 1, r["results"]


def test_other_languages():
    rows = {"javascript": ("node", "function f(x) {\n", "  return x + 1;\n}\n", "if (f(1) !== 2) throw new Error('no');", "  process.exit(0);\n}\n"),
            "cpp": ("g++", "#include <cassert>\nint f(int x) {\n", "  return x + 1;\n}\n", "int main() { assert(f(1) == 2); }", "  return x;\n}\n"),
            "bash": ("bash", "f() {\n", "  echo $(($1 + 1))\n}\n", "set -e\n[[ $(f 1) = 2 ]]", "  exit 0\n}\nexit 0\n"),
            "rust": ("rustc", "fn f(x: i32) -> i32 {\n", "  x + 1\n}\n", "fn main() { assert_eq!(f(1), 2); }", "  y\n}\n")}
    for language, (tool, prompt, right, tests, wrong) in rows.items():
        if not shutil.which(tool):
            print(f"skipped: {language}, {tool} is not there")
            continue
        more = f'execution: {{ language: {language}, program: "{{{{ prompt }}}}{{{{ completion }}}}", tests: "{{{{ test }}}}", seconds: 20 }}\nmetric_list: ["pass@1"]\n'
        r = results(more, [{"task_id": 1, "completion": right}, {"task_id": 1, "completion": wrong}], problems=[{"task_id": 1, "prompt": prompt, "test": tests}])
        ends = r["samples"]["own"][0]["programs"]
        assert ends[0]["outcome"] == "pass" and ends[1]["outcome"] in ("fail", "error", "syntax"), (language, ends)


def test_a_named_python_brings_its_libraries():
    """A virtual environment, here below /tmp, which every program has anew: its libraries are there, cannot be changed, and without the name they are not."""
    venv = SCRATCH / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    packages = next((venv / "lib").glob("python3*/site-packages"))
    (packages / "own_library.py").write_text("def one():\n    return 1\n")
    solution = "from own_library import one\nimport own_library\ntry:\n    open(own_library.__file__, 'a').write('#')\nexcept OSError:\n    def f0(x):\n        return x * one()\n"
    samples = [{"task_id": "Own/0", "solution": solution}]
    for mode in ("checked", "plain"):
        more = CHECKED.replace("execution: {", f"execution: {{ mode: {mode},").replace("total_seconds: 20", "total_seconds: 30")
        r = results(more, samples, "--python", venv / "bin/python3")
        assert r["results"]["own"]["pass@1,none"] == 1 and str(venv) in r["programs"]["own"]["sandbox"], (mode, r["samples"]["own"][0]["programs"], r["programs"])
        r = results(more, samples)
        assert r["samples"]["own"][0]["programs"][0]["outcome"] == "error" and "own_library" in r["samples"]["own"][0]["programs"][0]["detail"], r["samples"]["own"][0]["programs"]
    for bad in (SCRATCH / "own.jsonl", SCRATCH / "nowhere", "/bin/true"):
        said = run("--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--samples", SCRATCH / "samples.jsonl", "--python", bad, good=False).stderr
        assert "is no Python that runs here" in said, said


def test_a_models_answers_are_run():
    model = served.make_model(PROGRAM, SCRATCH, "tiny")
    (SCRATCH / "own.yaml").write_text(TASK.format(more=CHECKED))
    write("own.jsonl", PROBLEMS)
    run(model, "--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--out", SCRATCH / "out.json", "--quiet")
    r = json.loads((SCRATCH / "out.json").read_text())
    assert [len(s["programs"]) for s in r["samples"]["own"]] == [3, 3] and 0 <= r["results"]["own"]["pass@2,none"] <= 1


def test_mistakes_get_a_sentence():
    write("own.jsonl", PROBLEMS)
    (SCRATCH / "own.yaml").write_text(TASK.format(more=CHECKED))
    base = ("--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--samples")
    assert "neither" in run(*base, write("bad.jsonl", [{"task_id": "Own/0"}]), good=False).stderr
    assert "has no answer" in run(*base, write("bad.jsonl", [{"task_id": "No/7", "solution": "x"}]), good=False).stderr
    assert "is no task of code" in run("--tasks", "hellaswag", "--data", SCRATCH, "--samples", SCRATCH / "bad.jsonl", good=False).stderr
    (SCRATCH / "own.yaml").write_text(TASK.format(more=CHECKED.replace("pass@2", "pass@4")))
    assert "repeats" in run(*base, SCRATCH / "bad.jsonl", good=False).stderr


def main():
    if not shutil.which("bwrap") or subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True).returncode:
        print("skipped: tasks of code, bubblewrap cannot make a namespace here\n0 passed, 0 failed")
        return 0
    passed = failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith("test_") or (len(sys.argv) > 2 and name not in sys.argv[2:]):
            continue
        try:
            test()
            passed += 1
            print(f"ok     {name}")
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
