"""`starchat eval --tasks plots` and tasks of pictures of our own: what of an answer is run, pictures that leave the sandbox and those that may not, three levels, pages
that can run nothing, and refusals in a sentence. Standard library only; skipped where no sandbox can be had. With STARCHAT_PLOTS_PYTHON, an interpreter that has
matplotlib, seaborn and geopandas<1, right and wrong answers to the task's own prompts too; TikZ where pdflatex and pdftocairo are installed.

Run: python3 tests/cli/test_eval_plots.py build/starchat       Last line: "N passed, N failed"
"""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/starchat").resolve())
SCRATCH_HOLDER = tempfile.TemporaryDirectory(prefix="starchat-eval-plots-")
SCRATCH = pathlib.Path(SCRATCH_HOLDER.name)
PLOTS_PYTHON = os.environ.get("STARCHAT_PLOTS_PYTHON")
FENCE = "```"
TASK = """task: own
output_type: code
documents:
  - { task_id: draw, draws: python, prompt: "Draw." }
  - { task_id: svg, draws: svg, prompt: "Draw in SVG." }
  - { task_id: tikz, draws: tikz, prompt: "Draw in TikZ." }
num_fewshot: 0
doc_to_text: "{{ prompt }}"
doc_to_target: ""
execution: { mode: picture, seconds: 30 }
generation_kwargs: { max_gen_toks: 4 }
metric_list: [runs, draws, matches]
"""
WRITER = '''import struct, zlib
def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
def png(width, height, color):
    rows = b"".join(b"\\0" + b"".join(bytes(color(x, y)) for x in range(width)) for y in range(height))
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
'''
GOOD = WRITER + "open('a.png', 'wb').write(png(40, 30, lambda x, y: (255, 8 * y, 0)))\n"
SVG = '<svg viewBox="0 0 40 30"><style>circle { fill: url(#g) }</style><circle cx="20" cy="15" r="9"/></svg>'


def run(*args, good=True, path=None, code=None):
    environment = dict(served.environment(SCRATCH), PATH=path or os.environ["PATH"])
    p = subprocess.run([PROGRAM, "eval", *map(str, args)], capture_output=True, text=True, env=environment, timeout=900)
    assert (p.returncode == 0) == good, (args, p.returncode, p.stdout[-500:], p.stderr[-1500:])
    return p


def write(name, answers):
    (SCRATCH / name).write_text("".join(json.dumps({"task_id": task, "solution": text}) + "\n" for task, text in answers))
    return SCRATCH / name


def programs(answers, *args, task=None, **more):
    (SCRATCH / "own.yaml").write_text(TASK)
    run("--tasks", task or SCRATCH / "own.yaml", "--samples", write("answers.jsonl", answers), "--out", SCRATCH / "r.json", "--quiet", *args, **more)
    r = json.loads((SCRATCH / "r.json").read_text())
    return r, [p for s in next(iter(r["samples"].values())) for p in s["programs"]]


def levels(p):
    return "".join("-" if p[k] is None else str(int(p[k])) for k in ("runs", "draws", "matches"))


def test_pictures_leave_the_sandbox():
    r, found = programs([("draw", f"Here:\n{FENCE}bash\npip\n{FENCE}\n{FENCE}python\n{GOOD}{FENCE}\n{FENCE}python\nraise 1\n{FENCE}"), ("draw", GOOD), ("svg", f"So:\n{SVG}\nDone.")])
    assert [levels(p) for p in found] == ["11-", "11-", "11-"], found
    assert [p["form"] for p in found] == ["python", "python", "svg"]
    picture = found[0]["pictures"][0]
    assert (picture["width"], picture["height"], picture["file"]) == (40, 30, "r.images/own_1.png") and found[1]["pictures"][0]["file"] == "r.images/own_1_answer2.png", found
    data = (SCRATCH / picture["file"]).read_bytes()
    space = {}
    exec(WRITER, space)
    assert data == space["png"](40, 30, lambda x, y: (255, 8 * y, 0)) and len(data) == picture["bytes"] and "data" not in picture
    assert r["results"]["own"]["runs,none"] == 1 and r["results"]["own"]["matches,none"] == "N/A" and r["results"]["own"]["judged"] == {"runs": 2, "draws": 2, "matches": 0}, r["results"]
    assert r["samples"]["own"][0]["matches"] is None and r["samples"]["own"][0]["filtered_resps"][0][0] == GOOD


def test_large_ones_and_many():
    """Together more than one file in a sandbox may have; the seventh is left."""
    noise = WRITER + "import os\nrows = b''.join(b'\\0' + os.urandom(3600) for _ in range(1000))\nhead = struct.pack('>IIBBBBB', 1200, 1000, 8, 2, 0, 0, 0)\nfor i in range(7):\n    open(f'{i}.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))\n"
    _, found = programs([("draw", noise)])
    assert levels(found[0]) == "11-" and [p["bytes"] > 3600000 for p in found[0]["pictures"]] == [True] * 6, found


def test_without_a_file_for_results_they_stand_in_them():
    (SCRATCH / "own.yaml").write_text(TASK)
    page = SCRATCH / "alone.html"
    run("--tasks", SCRATCH / "own.yaml", "--samples", write("answers.jsonl", [("draw", GOOD)]), "--report", page, "--quiet")
    assert "data:image/png;base64," in page.read_text() and not (SCRATCH / "alone.images").exists()


def test_each_end_counts_at_its_level():
    blank = WRITER + "open('a.png', 'wb').write(png(40, 30, lambda x, y: (1, 2, 3)))\n"
    cases = [("print('nothing')", "10-", "fail", "nothing was drawn"), (blank, "10-", "fail", "nothing was drawn"), (GOOD + "raise KeyError('oh')", "00-", "error", "oh"), ("import sys\nsys.exit(3)", "00-", "error", "SystemExit: 3"),
             (GOOD + "import sys\nsys.exit()", "11-", "pass", ""), ("import os\nos._exit(0)", "00-", "error", "before anybody could look"), ("def f(:", "00-", "syntax", "SyntaxError"), ("I cannot draw.", "00-", "syntax", ""),
             ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "00-", "error", "signal 9"), ("while True: print('x' * 100000)", "00-", "output-flood", ""), ("x = 1\0", "00-", "syntax", "zero byte"),
             (GOOD + "print('0' * 32, '{\"outcome\": \"pass\"}')\nraise SystemExit('no')", "00-", "error", "no")]
    _, found = programs([("draw", source) for source, *_ in cases])
    for (source, level, outcome, detail), p in zip(cases, found):
        assert (levels(p), p["outcome"]) == (level, outcome) and detail in p["detail"], (source[-60:], p)


def test_what_is_no_picture_is_refused():
    tricks = [("open('a.png', 'wb').write(b'<svg onload=alert(1)>')", "it is no PNG"), (GOOD + "d = open('a.png', 'rb').read()\nopen('a.png', 'wb').write(d[:-20])", "it is torn"),
              (GOOD + "d = bytearray(open('a.png', 'rb').read())\nd[60] ^= 1\nopen('a.png', 'wb').write(d)", "sum of a chunk"), (GOOD + "open('a.png', 'ab').write(b'<script>')", "follows its end"),
              ("import os\nos.symlink('/etc/passwd', 'a.png')", "symbolic links"), ("import os\nos.mkfifo('a.png')", "no ordinary file"), (GOOD + "import os\nos.truncate('a.png', 5 << 20)", "more than 4194304 bytes"),
              (WRITER + "h = struct.pack('>IIBBBBB', 100000, 100000, 8, 2, 0, 0, 0)\nopen('a.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', h) + chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b''))", "larger than"),
              ("open('a.svg', 'w').write('<!DOCTYPE a [<!ENTITY b \"c\">]><svg>&b;</svg>')", "declares entities"), ("open('a.svg', 'w').write('<html><svg/></html>')", "no svg element")]
    _, found = programs([("draw", source) for source, _ in tricks])
    for (source, reason), p in zip(tricks, found):
        assert levels(p) == "10-" and reason in p["pictures"][0]["refused"] and reason in p["detail"] and "file" not in p["pictures"][0], (source[-80:], p)


def test_svg_can_neither_run_nor_fetch():
    bad = ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="20" height="20" onload="alert(1)"><script>alert(2)</script><style>@import "http://a.example/b.css";</style>'
           '<style>rect { fill: url(http://a.example/c) }</style><a href="javascript:alert(3)"><rect width="1" height="1"/></a><image href="http://a.example/d.png"/><use xlink:href="http://a.example/e.svg#x"/>'
           '<foreignObject><iframe src="http://a.example"/></foreignObject><animate attributeName="href" to="javascript:alert(4)"/><circle r="5" onclick="alert(5)" style="fill:url(http://a.example/f)" fill="url(#g)"/></svg>')
    _, found = programs([("svg", bad)], "--report", SCRATCH / "r.html")
    kept = (SCRATCH / found[0]["pictures"][0]["file"]).read_text()
    assert levels(found[0]) == "11-" and "circle" in kept and 'fill="url(#g)"' in kept, (found, kept)
    for word in ("alert", "example", "script", "onload", "onclick", "foreignObject", "animate", "<a", "image"):
        assert word not in kept, (word, kept)
    page = (SCRATCH / "r.html").read_text()
    sources = re.findall(r'<img [^>]*src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert base64.b64decode(sources[0]).decode() == kept
    assert "default-src 'none'" in page and "img-src data:" in page and "script-src" not in page and page.count("<script") == 0 and page.count("<circle r=") == 0


def test_pages_from_results():
    programs([("draw", GOOD), ("svg", SVG)], "--report", SCRATCH / "first.html")
    run("report", SCRATCH / "r.json", SCRATCH / "second.html")
    assert (SCRATCH / "first.html").read_text().count("<img ") == (SCRATCH / "second.html").read_text().count("<img ") == 2
    place = SCRATCH / "more pages"
    place.mkdir(exist_ok=True)
    run("report", SCRATCH / "r.json", place / "a b.md")
    text = (place / "a b.md").read_text()
    assert "![own\\_1.png](a%20b.images/own_1.png)" in text and (place / "a b.images/own_1.png").read_bytes() == (SCRATCH / "r.images/own_1.png").read_bytes(), text[:1500]
    # Results from somewhere may name any file.
    r = json.loads((SCRATCH / "r.json").read_text())
    (SCRATCH / "secret.png").write_bytes((SCRATCH / "r.images/own_1.png").read_bytes())
    for file in ("../secret.png", "secret.png", "r.images/../secret.png", str(SCRATCH / "secret.png"), "r.images/no.png"):
        r["samples"]["own"][0]["programs"][0]["pictures"][0]["file"] = file
        (SCRATCH / "r.json").write_text(json.dumps(r))
        run("report", SCRATCH / "r.json", SCRATCH / "third.html")
        page = (SCRATCH / "third.html").read_text()
        assert page.count("<img ") == 1 and "its file is missing" in page, file
    (SCRATCH / "r.images/own_1.png").write_bytes(b"<svg onload='alert(1)'>")
    r["samples"]["own"][0]["programs"][0]["pictures"][0]["file"] = "r.images/own_1.png"
    (SCRATCH / "r.json").write_text(json.dumps(r))
    run("report", SCRATCH / "r.json", SCRATCH / "third.html")
    assert "it is no PNG" in (SCRATCH / "third.html").read_text()


def test_what_was_not_judged_is_left_out_of_comparisons():
    (SCRATCH / "own.yaml").write_text(TASK.replace('prompt: "Draw." }', 'prompt: "Draw.", checks: [title: { text: A }] }'))
    for name, answers in (("a.json", [("draw", GOOD), ("svg", SVG)]), ("b.json", [("draw", "1 / 0"), ("svg", SVG)])):
        run("--tasks", SCRATCH / "own.yaml", "--samples", write("answers.jsonl", answers), "--out", SCRATCH / name, "--quiet")
    r = json.loads(run("compare", SCRATCH / "a.json", SCRATCH / "b.json", "--json").stdout)
    assert {(t["metric"], t["pairs"], t["a"], t["b"]) for t in r["tasks"]} == {("runs", 2, 1, 0.5), ("draws", 2, 1, 0.5), ("matches", 1, 0, 0)}, r["tasks"]
    for name, i in (("a.json", 0), ("b.json", 1)):
        one = json.loads((SCRATCH / name).read_text())
        one["samples"]["own"][i]["runs"] = None
        (SCRATCH / name).write_text(json.dumps(one))
    r = json.loads(run("compare", SCRATCH / "a.json", SCRATCH / "b.json", "--json").stdout)
    assert {t["metric"] for t in r["tasks"]} == {"draws", "matches"} and any("runs was judged of no question" in n for n in r["notes"]), r


def test_a_model_is_asked():
    model = served.make_model(PROGRAM, SCRATCH, "tiny")
    (SCRATCH / "own.yaml").write_text(TASK)
    run(model, "--tasks", SCRATCH / "own.yaml", "--out", SCRATCH / "out.json", "--quiet")
    r = json.loads((SCRATCH / "out.json").read_text())
    asked = [s["arguments"]["gen_args_0"]["arg_0"] for s in r["samples"]["own"]]
    assert asked == ["Draw.\n\n```python\n", "Draw in SVG.\n\n```svg\n", "Draw in TikZ.\n\n```latex\n"] and "opened block" in r["programs"]["own"]["asked"], (asked, r["programs"])


def test_mistakes_get_a_sentence():
    samples = write("answers.jsonl", [("plots/1", "x = 1")])
    bare = SCRATCH / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    said = run("--tasks", "plots", "--samples", samples, "--python", bare / "bin/python3", good=False).stderr
    assert "need matplotlib, seaborn, which" in said and "pip install" in said and "--python" in said and said.count("starchat: ") == 1, said
    for old, new, word in (("draws: svg", "draws: crayon", "python, tikz and svg"), ("mode: picture", "mode: sketch", "picture"), ("[runs, draws, matches]", "[\"pass@1\"]", "pass@K"), ("draws: svg,", "", "draws"), ("documents:\n", "documents: 3\nsome:\n", "documents")):
        assert old in TASK
        (SCRATCH / "own.yaml").write_text(TASK.replace(old, new))
        said = run("--tasks", SCRATCH / "own.yaml", "--samples", write("answers.jsonl", [("draw", "x = 1"), ("svg", "x")]), good=False).stderr
        assert word in said and said.count("starchat: ") == 1, (new, said)
    assert "--data is missing" in run("--tasks", "plots,hellaswag", "--samples", samples, good=False).stderr


# ---- where the libraries and a TeX are there --------------------------------------------------------------------------------------------

def test_tikz():
    picture = "\\begin{tikzpicture}\\draw[fill=red] (0,0) circle (1);\\end{tikzpicture}"
    answers = [("tikz", f"So:\n{FENCE}latex\n\\documentclass[border=3pt]{{standalone}}\n\\usepackage{{tikz}}\n\\begin{{document}}\n{picture}\n\\end{{document}}\n{FENCE}"), ("tikz", picture), ("tikz", "\\begin{tikzpicture}\\end{tikzpicture}"),
               ("tikz", picture.replace("draw", "paint")), ("tikz", "\\begin{tikzpicture}\\input{/etc/passwd}\\end{tikzpicture}"), ("tikz", "\\begin{tikzpicture}\\loop\\iftrue\\repeat\\end{tikzpicture}")]
    if not shutil.which("pdflatex") or not shutil.which("pdftocairo"):
        _, found = programs(answers[:1])
        assert levels(found[0]) == "---" and found[0]["outcome"] == "skipped" and "is not installed here" in found[0]["detail"], found
        print("skipped: TikZ that runs, there is no pdflatex with pdftocairo")
        return
    _, found = programs(answers[:5])
    assert [levels(p) for p in found[:4]] == ["11-", "11-", "10-", "00-"] and "Undefined control sequence" in found[3]["detail"], found


def test_without_tex_nothing_is_judged():
    path = SCRATCH / "few"
    path.mkdir()
    for name in ("python3", "bwrap"):
        os.symlink(shutil.which(name, path="/usr/bin:/usr/local/bin") or shutil.which(name), path / name)
    r, found = programs([("tikz", "\\begin{tikzpicture}\\draw (0,0);\\end{tikzpicture}"), ("svg", SVG)], path=str(path))
    assert [levels(p) for p in found] == ["11-", "---"] and "pdflatex is not installed here" in found[1]["detail"] and found[1]["outcome"] == "skipped", found
    assert r["results"]["own"]["judged"] == {"runs": 1, "draws": 1, "matches": 0} and r["results"]["own"]["runs,none"] == 1, r["results"]


BARS = """import matplotlib.pyplot as plt, pandas as pd, seaborn as sns
sns.set_context("talk")
data = pd.DataFrame({'Name': ['Tom', 'Brad', 'Kyle', 'Jerry'], 'Age': [20, 21, 19, 18], 'Height': [6.1, 5.9, 6.0, 6.1]})
fig, axes = plt.subplots(1, 2, figsize=(12, 5))
sns.barplot(x='Name', y='Height', data=data, ax=axes[0])
sns.barplot(x='Name', y='Age', data=data, ax=axes[1])
plt.show()
"""
BARS_2 = """import matplotlib.pyplot as plt
import seaborn as sns
sns.set(context='talk', style='whitegrid')
names = ['Tom', 'Brad', 'Kyle', 'Jerry']
plt.figure(figsize=(10, 4))
plt.subplot(121)
plt.bar(names, [6.1, 5.9, 6.0, 6.1])
plt.subplot(122)
plt.bar(range(4), [20, 21, 19, 18])
plt.xticks(range(4), names)
plt.savefig('people.png')
plt.close()
"""
MAP = """import geopandas as gpd
import matplotlib.pyplot as plt
world = gpd.read_file(gpd.datasets.get_path('naturalearth_lowres'))
world['color'] = 'lightgrey'
world.loc[world['name'].isin(['Germany', 'Spain']), 'color'] = 'red'
world.plot(color=world['color'], edgecolor='black', figsize=(12, 6))
plt.show()
"""
MAP_2 = """import geopandas
import matplotlib
matplotlib.use('TkAgg')
from matplotlib import pyplot as plt
world = geopandas.read_file(geopandas.datasets.get_path("naturalearth_lowres"))
ax = world.plot(color="white", edgecolor="black")
world[world.name.isin({"Germany", "Spain"})].plot(ax=ax, color="red")
plt.savefig("map.png", dpi=50)
"""
POINTS = """import matplotlib.pyplot as plt, pandas as pd, seaborn as sns
sns.set_context('talk')
df = pd.DataFrame({'player': ['J. Harden', 'J. Embiid', 'T. Maxey', 'T. Harris', 'P. Tucker'], 'points': [42, 34, 14, 9, 6], 'rebounds': [8, 13, 8, 7, 3]})
ax = sns.scatterplot(x='rebounds', y='points', data=df, marker='o', s=100)
for i, row in df.iterrows():
    ax.text(row['rebounds'], row['points'] + 1, row['player'], ha='center')
ax.set_title('Sixers Players')
plt.show()
"""
POINTS_2 = """import matplotlib.pyplot as plt, seaborn as sns
with sns.plotting_context("talk"):
    fig, ax = plt.subplots(figsize=(8, 6))
    for name, p, r in [("J. Harden", 42, 8), ("J. Embiid", 34, 13), ("T. Maxey", 14, 8), ("T. Harris", 9, 7), ("P. Tucker", 6, 3)]:
        ax.plot([r], [p], marker='o', linestyle='')
        ax.annotate(name, (r, p), textcoords="offset points", xytext=(0, 10), ha='center')
    fig.suptitle("Sixers Players")
    plt.show()
"""


def test_right_and_wrong_plots():
    if not PLOTS_PYTHON:
        print("skipped: plots, STARCHAT_PLOTS_PYTHON names no interpreter")
        return
    cases = [("1", BARS, "111", ""), ("1", BARS_2, "111", ""), ("1", BARS.replace('sns.set_context("talk")', "plt.style.use('seaborn-v0_8-talk')"), "111", ""), ("2", MAP, "111", ""), ("2", MAP_2, "111", ""), ("3", POINTS, "111", ""), ("3", POINTS_2, "111", ""),
             ("1", "import matplotlib.pyplot as plt\nplt.figure()\nplt.show()", "100", "nothing was drawn"), ("1", "import matplotlib.pyplot as plt\nplt.subplots(1, 2)\nplt.show()", "100", "nothing was drawn"), ("1", GOOD, "110", "no figure"),
             ("1", BARS.replace("6.0, 6.1]", "6.0, 6.2]"), "110", "Jerry is 6.2 high"), ("1", BARS.replace("(1, 2,", "(2, 1,"), "110", "2 by 1"), ("1", BARS.replace('sns.set_context("talk")', ""), "110", "context talk"),
             ("1", BARS.replace("'Tom'", "'Tim'"), "110", "no bar named Tom"), ("1", BARS.replace("y='Age'", "y='Height'"), "110", "panel 2"), ("1", BARS_2.split("plt.subplot(122)")[0] + "plt.show()", "110", "1 by 1"), ("1", BARS + "1 / 0", "000", "ZeroDivisionError"),
             ("2", MAP.replace("'Germany', 'Spain'", "'Germany'"), "110", "Spain is not red"), ("2", MAP.replace("'Spain'", "'Spain', 'Italy'"), "110", "Italy is red, too"), ("2", MAP.replace("'Spain'", "'Spain', 'New Zealand'"), "110", "red, too"),
             ("2", MAP.replace("'red'", "'blue'"), "110", "not red"), ("2", MAP.replace("world.plot", "world[world.continent == 'Europe'].plot"), "110", "polygons"),
             ("3", POINTS.replace("    ax.text", "    continue\n    ax.text"), "110", "no text"), ("3", POINTS.replace("marker='o'", "marker='s'"), "110", "marker"), ("3", POINTS.replace("Sixers", "Nets"), "110", "title"), ("3", POINTS.replace("row['points'] + 1", "1"), "110", "not near"),
             ("3", POINTS.replace("x='rebounds', y='points'", "y='rebounds', x='points'"), "110", "no point"), ("3", POINTS.replace("34, 14", "34, 15"), "110", "no point at (8, 14)")]
    cases.sort(key=lambda c: c[0])
    _, found = programs([(f"plots/{n}", source) for n, source, *_ in cases], "--python", PLOTS_PYTHON, task="plots")
    for (n, source, level, detail), p in zip(cases, found):
        assert levels(p) == level and detail in p["detail"] and (level != "111" or p["pictures"][0]["width"] >= 400), (n, source, level, p)


def main():
    if not shutil.which("bwrap") or subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True).returncode:
        print("skipped: tasks of pictures, bubblewrap cannot make a namespace here\n0 passed, 0 failed")
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
