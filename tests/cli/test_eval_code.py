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


# Of each language: the tool it needs, a right answer, a wrong one, and answers that end the program before its tests are done.
ENDS = {
    "javascript": ("node", "function f(x) {\n", "if (f(1) !== 2) throw new Error('no');\n", "  return x + 1;\n}\n", "  return x;\n}\n", ["  process.exit(0);\n}\n", "  return x;\n}\nprocess.exitCode = 0; process.reallyExit(0);\n"]),
    "cpp": ("g++", "#include <cassert>\n#include <cstdlib>\n#include <unistd.h>\nint f(int x) {\n", "int main() { assert(f(1) == 2); }\n", "  return x + 1;\n}\n", "  return x;\n}\n",
            ["  exit(0);\n}\n", "  quick_exit(0);\n}\n", "  _exit(0);\n}\n", "  return x;\n}\nstruct Early { Early() { exit(0); } } early;\n"]),
    "rust": ("rustc", "fn f(x: i32) -> i32 {\n", "fn main() { assert_eq!(f(1), 2); }\n", "  x + 1\n}\n", "  x\n}\n", ["  std::process::exit(0)\n}\n"]),
    "rust_test": ("rustc", "fn f(x: i32) -> i32 {\n", "#[cfg(test)]\nmod tests {\n  use super::*;\n  #[test]\n  fn one() { assert_eq!(f(1), 2); }\n}\n", "  x + 1\n}\n", "  x\n}\n", ["  std::process::exit(0)\n}\n"]),
    "go": ("go", "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Args\n\nfunc f(x int) int {\n", "func TestF(t *testing.T) {\n\tif f(1) != 2 {\n\t\tt.Error(\"no\")\n\t}\n}\n", "\treturn x + 1\n}\n", "\treturn x\n}\n",
           ["\tos.Exit(0)\n\treturn x\n}\n", "\treturn x\n}\nfunc init() {\n\tos.Exit(0)\n}\n"]),
    "java": ("javac", "class Problem {\n    static int f(int x) {\n", "    }\n    public static void main(String[] a) { assert f(1) == 2; }\n}\n", "        return x + 1;\n", "        return x;\n",
             ["        System.exit(0); return x;\n", "        Runtime.getRuntime().halt(0); return x;\n"]),
}


def test_ending_early_is_no_pass():
    for language, (tool, prompt, tests, right, wrong, cheats) in ENDS.items():
        if not shutil.which(tool):
            print(f"skipped: {language}, {tool} is not there")
            continue
        more = f'execution: {{ language: {language}, program: "{{{{ prompt }}}}{{{{ completion }}}}", tests: "{{{{ test }}}}", seconds: 30 }}\nmetric_list: ["pass@1"]\n'
        r = results(more, [{"task_id": 1, "completion": c} for c in [right, wrong, *cheats]], problems=[{"task_id": 1, "prompt": prompt, "test": tests}])
        ends = [p["outcome"] for p in r["samples"]["own"][0]["programs"]]
        assert ends[0] == "pass" and "pass" not in ends[1:], (language, ends)
        assert "syntax" not in ends, (language, [p["detail"] for p in r["samples"]["own"][0]["programs"]])


def pack_row(name, prompt, declaration, right, buggy, test, **more):
    return {"task_id": f"{name}/0", "prompt": prompt, "declaration": declaration, "canonical_solution": right, "buggy_solution": buggy, "test": test, "entry_point": "Twice", "docstring": "Twice x.",
            "import": "", "test_setup": "", **more}


# A problem of our own in the shape of HumanEvalPack's rows.
PACK = {
    "python": ("python3", pack_row("Python", 'def Twice(x):\n    """ Twice x. """\n', "def Twice(x):\n", "    return 2 * x\n", "    return x\n", "def check(Twice):\n    assert Twice(3) == 6\n\ncheck(Twice)")),
    "js": ("node", pack_row("JavaScript", "/* Twice x. */\nconst Twice = (x) => {\n", "\nconst Twice = (x) => {\n", "  return 2 * x;\n}\n\n", "  return x;\n}\n\n", "const test = () => {\n  console.assert(Twice(3) === 6)\n}\n\ntest()\n")),
    "cpp": ("g++", pack_row("CPP", "/* Twice x. */\nint Twice(int x){\n", "int Twice(int x){\n", "    return 2 * x;\n}\n", "    return x;\n}\n", "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (Twice(3) == 6);\n}\n")),
    # strings is used by the solution and imported by nobody; the comment that names it does not count.
    "go": ("go", pack_row("Go", "// Twice x, see strings.Repeat.\nfunc Twice(x string) string {\n", "func Twice(x string) string {\n", "    return strings.Repeat(x, 2)\n}\n\n", "    return x\n}\n\n",
                          "func TestTwice(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(\"aa\", Twice(\"a\"))\n}\n", test_setup='package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n')),
    "java": ("javac", pack_row("Java", "import java.util.*;\n\nclass Solution {\n    /** Twice x. */\n    public int Twice(int x) {\n", "import java.util.*;\n\nclass Solution {\n    public int Twice(int x) {\n", "        return 2 * x;\n    }\n}",
                               "        return x;\n    }\n}", "public class Main {\n    public static void main(String[] args) {\n        if (new Solution().Twice(3) != 6) {\n            throw new AssertionError();\n        }\n    }\n}\n")),
    "rust": ("rustc", pack_row("Rust", "\n/*\n Twice x.\n*/\nfn Twice(x:i32) -> i32 {\n", "\nuse std::{collections::HashMap};\nuse rand::Rng;\nuse regex::Regex;\nuse md5;\nfn Twice(x:i32) -> i32{\n", "    let mut m: HashMap<i32, i32> = HashMap::new();\n    m.insert(0, 2 * x);\n    m[&0]\n}\n\n",
                               "    x\n}\n\n", "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_twice() {\n        assert_eq!(Twice(3), 6);\n    }\n}\n")),
}


def test_functions_of_every_language():
    place = SCRATCH / "humanevalpack"
    place.mkdir()
    for language, (tool, row) in PACK.items():
        if not shutil.which(tool):
            print(f"skipped: {language}, {tool} is not there")
            continue
        (place / f"{language}.jsonl").write_text(json.dumps(row) + "\n")
        samples = write("samples.jsonl", [{"task_id": row["task_id"], "completion": row["canonical_solution"]}, {"task_id": row["task_id"], "completion": row["buggy_solution"]}])
        tasks = [f"humaneval{kind}-{language}" for kind in ("synthesize", "fixtests", "fixdocs", "explainsynthesize")[:2 if language == "go" else 4]]       # its library is compiled for each
        run("--tasks", ",".join(tasks), "--data", SCRATCH, "--samples", samples, "--out", SCRATCH / "out.json", "--quiet")
        r = json.loads((SCRATCH / "out.json").read_text())
        for task in tasks:
            ends = [(p["outcome"], p["detail"]) for p in r["samples"][task][0]["programs"]]
            assert ends[0][0] == "pass" and ends[1][0] in ("fail", "error"), (task, ends)


def test_inputs_and_outputs():
    row = {"id": "own_0", "code": "def f(a, b=(1, 2)):\n    return {k: a for k in b}", "input": "'x', b=(3,)", "output": "{3: 'x'}"}
    (SCRATCH / "cruxeval.jsonl").write_text(json.dumps(row) + "\n")
    answers = {"output": (["assert f('x', b=(3,)) == {3: 'x'}\n", "{3: 'xx'[:1]}"], ["{3: 'y'}", "f('x', b=(3,))", "assert f('x', b=(3,)) ==", "[7"]),
               "input": (["assert f('x', (3,)) == {3: 'x'}", "f(b=(3,), a='x')"], ["assert f('y', (3,)) == {3: 'x'}", "{3: 'x'}", "f('x', (3,)", "f(type('Any', (), {'__eq__': lambda a, b: True})(), (3,))"])}
    for kind, (right, wrong) in answers.items():
        run("--tasks", f"cruxeval_{kind}", "--data", SCRATCH, "--out", SCRATCH / "out.json", "--quiet", "--samples", write("samples.jsonl", [{"task_id": "own_0", "completion": c} for c in right + wrong]))
        ends = [p["outcome"] for p in json.loads((SCRATCH / "out.json").read_text())["samples"][f"cruxeval_{kind}"][0]["programs"]]
        assert ends[:len(right)] == ["pass"] * len(right) and "pass" not in ends[len(right):], (kind, ends)


GAP = """execution: { program: "{{ prompt }}{{ completion }}{{ suffix }}", tests: "{{ test }}", entry: f }
doc_to_suffix: "{{ suffix }}"
generation_kwargs: { until: [], max_gen_toks: 1 }
metric_list: ["pass@1"]
"""


def test_gaps_are_filled():
    problem = {"task_id": 1, "prompt": "def f(x):\n    return x", "suffix": " 1\n", "test": "assert f(2) == 3"}
    r = results(GAP, [{"task_id": 1, "completion": " +"}, {"task_id": 1, "completion": " -"}], problems=[problem])
    assert [p["outcome"] for p in r["samples"]["own"][0]["programs"]] == ["pass", "fail"]
    # The model's own tokens stand before, between and behind: three more than bytes, of which the tokenizer of this model has one each.
    model, gap = served.make_model(PROGRAM, SCRATCH, "gaps"), len(problem["prompt"]) + len(problem["suffix"]) + 3
    fim = dict(problem, language="py", canonical_solution="x")
    (SCRATCH / "santacoder-fim").mkdir()
    (SCRATCH / "santacoder-fim/own.jsonl").write_text(json.dumps(fim) + "\n" + json.dumps(dict(fim, language="js")) + "\n")
    for task, most in ((SCRATCH / "own.yaml", 1), ("santacoder_fim_py", 128)):
        run(model, "--tasks", task, "--data", SCRATCH, "--out", SCRATCH / "out.json", "--quiet")
        r = json.loads((SCRATCH / "out.json").read_text())
        (samples,), (speed,) = r["samples"].values(), r["speed"].values()
        assert [s["doc"].get("language") for s in samples] in ([None], ["py"]) and gap <= speed["tokens"] <= gap + most, (samples, speed)
    long = dict(problem, prompt="#" * 300 + "\n" + problem["prompt"])
    small = served.make_model(PROGRAM, SCRATCH, "small", max_position_embeddings=64)
    for rows, good in (([long], True), ([dict(long, suffix=" 1\n" * 40)], False)):
        write("own.jsonl", rows)
        p = run(small, "--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--out", SCRATCH / "out.json", good=good)
        assert good or "behind the gap" in p.stderr, p.stderr
    other = served.make_model(PROGRAM, SCRATCH, "other", has_fim=False)
    assert "fill-in-the-middle tokens" in run(other, "--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, good=False).stderr


def test_libraries_that_are_missing():
    more = """process_docs: values
execution: { mode: plain, needs: "{{ libs }}", program: "{{ prompt }}{{ completion }}", tests: "{{ test }}", entry: f }
metric_list: ["pass@1"]
"""
    rows = [{str(i): {"task_id": f"Own/{i}", "libs": libs, "prompt": "def f(x):\n", "test": "assert f(1) == 1"} for i, libs in enumerate(["['json', 'os.path']", '["no_such_module.part", "json"]', "[]"])}]
    samples = [{"task_id": f"Own/{i}", "completion": f"    return {c}\n"} for i, c in enumerate(("x", "x", "2"))]
    r = results(more, samples, problems=rows)
    assert [(s["doc"]["task_id"], s["programs"][0]["outcome"]) for s in r["samples"]["own"]] == [("Own/0", "pass"), ("Own/2", "fail")]
    assert r["results"]["own"]["pass@1,none"] == 0.5 and r["programs"]["own"]["not_judged"] == {"Own/1": ["no_such_module"]}
    assert r["n-samples"]["own"] == {"original": 3, "effective": 2}
    write("own.jsonl", [rows[0]["1"]])
    p = run("--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--samples", SCRATCH / "samples.jsonl", good=False)
    assert "no_such_module" in p.stderr and "--python" in p.stderr
    write("own.jsonl", [{"a": 1}])
    assert "is no row itself" in run("--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--samples", SCRATCH / "samples.jsonl", good=False).stderr


def test_two_steps():
    more = CHECKED + """first: { column: words, doc_to_text: "In words: {{ prompt }}", doc_to_value: "<{{ answer[:2] }}>", generation_kwargs: { until: [], max_gen_toks: 3 } }
"""
    model = served.make_model(PROGRAM, SCRATCH, "steps")
    (SCRATCH / "own.yaml").write_text(TASK.replace("{{{{ prompt }}}}", "{{{{ words }}}}{{{{ prompt }}}}").format(more=more))
    write("own.jsonl", PROBLEMS)
    run(model, "--tasks", SCRATCH / "own.yaml", "--data", SCRATCH, "--out", SCRATCH / "out.json", "--quiet")
    for s, problem in zip(json.loads((SCRATCH / "out.json").read_text())["samples"]["own"], PROBLEMS):
        words = "<" + s["first"]["resp"][:2] + ">"
        assert s["first"]["arg_0"] == "In words: " + problem["prompt"] and s["first"]["resp"] and s["doc"]["words"] == words, s
        assert s["arguments"]["gen_args_0"]["arg_0"] == words + problem["prompt"]


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
    for more, said in (("open_braces: 70", "open_braces"), ("is_indented: 3", "is_indented")):
        (SCRATCH / "own.yaml").write_text(TASK.format(more=CHECKED.replace("seconds: 5", more)))
        assert said in run(*base, SCRATCH / "bad.jsonl", good=False).stderr
    for more, said in (("first: { column: x }\n", "doc_to_value"), ("first: [1]\n", "doc_to_value"), ("doc_to_suffix: [1]\n", "template"), ("where: { test: { column: task_id, is: 3 } }\n", "text")):
        (SCRATCH / "own.yaml").write_text(TASK.format(more=CHECKED + more))
        assert said in run(*base, SCRATCH / "bad.jsonl", good=False).stderr, more
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
