"""The page of `starchat judge report`: a plausible run is made here, with answers that try to act on the page, and looked at in Chromium by way of two pipes (as tests/clients/page.py does), so that
nothing listens. Standard library only; without a browser the page is made and its text is checked, and a line says what was not.

Run: python3 tests/cli/test_judge_report.py [PROGRAM] [NAME...]        Last line: "N passed, N failed"
     python3 tests/cli/test_judge_report.py --make DIRECTORY [PROMPTS]   writes such a run, to look at
"""
import base64
import hashlib
import html.parser
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/clients"))
READY = ROOT / "data/judge/prompts-115.jsonl"
PROTOCOL = "starchat"
HOSTILE = [
    "</script><script>window.pwned=1</script>",
    "<!-- <script> --!><img src=x onerror=\"window.pwned=2\">",
    "\u2028\u2029]]></script><svg onload=window.pwned=3>",
    "</title></style></textarea><iframe srcdoc='<script>parent.pwned=4</script>'></iframe>",
    "<a href=\"javascript:window.pwned=5\">click</a> <meta http-equiv=refresh content='0;url=http://example.invalid/'>",
    "\u202e reversed \u2066 isolate \ufeff \x00 \x1b[31m red".replace("\x00", ""),
    "{{constructor.constructor('window.pwned=6')()}} ${window.pwned=7} `;window.pwned=8;//",
    "[[A]] \\u003c/script\\u003e \U0001f600 " + "a" * 5000,
]


# ---- a run ---------------------------------------------------------------------------------------------------------------------------------

def answer(r, prompt, good):
    code = "```python\ndef solve(items):\n    return sorted(set(items))\n```"
    words = " ".join(r.choice(["The", "list", "function", "returns", "each", "value", "sorted", "because", "it", "is", "kept", "once"]) for _ in range(r.randint(20, 120 if good else 60)))
    return "\n\n".join(["Here is one way to do it. " + words if good else "Sure. " + words, code if r.random() < 0.8 else "", "- one\n- two" if good else ""])


def prompts_of(n):
    ready = [json.loads(line) for line in READY.read_text().splitlines()]
    return [{**ready[i % len(ready)], "id": ready[i % len(ready)]["id"] + (f"-{i // len(ready)}" if i >= len(ready) else "")} for i in range(n)]


def judge_line(judge, prompt, models, scores, text, canary=None, slot=0, lengths=None):
    line = {"judge": judge, "protocol": PROTOCOL, "id": prompt["id"], "turn": 1, "models": models, "slice": prompt["slice"], "language": prompt["language"], "lengths": lengths or [None, None], "text": text}
    if canary:
        line.update(canary=canary, canary_slot=slot)
    if scores:
        line.update(scores=scores, winner="A" if scores[0] > scores[1] else "B" if scores[1] > scores[0] else "tie")
    else:
        line["error"] = "the first line holds no two numbers"
    return line


JUDGES = {  # bias to the first place, gain of the better answer, share of the middle, noise
    "gpt-4": (0.1, 2.6, 0.1, 1.3),
    "gpt-3.5-turbo": (0.5, 1.0, 0.75, 0.8),
    "tiny-7b": (3.2, 0.2, 0.5, 1.0),
}


def score_of(r, gain, middle, noise, shift):
    x = 4.6 + gain * 0.9 * shift + r.gauss(0, noise)
    x = 4.5 + (x - 4.5) * (1 - 0.55 * middle)
    return max(1, min(8, round(x)))


def make_run(directory, n=115, models=("StarCoderBase", "StarChat-alpha"), judges=JUDGES, hostile=True, seed=1):
    r = random.Random(seed)
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    prompts, lines, answers = prompts_of(n), [], []
    skill = {m: 0.9 * i / max(1, len(models) - 1) for i, m in enumerate(models)}
    for i, p in enumerate(prompts):
        for k, m in enumerate(models):
            text = answer(r, p, skill[m] > 0.4)
            if hostile and i < len(HOSTILE):
                text = HOSTILE[i] + "\n\n```html\n" + HOSTILE[(i + k) % len(HOSTILE)] + "\n```"
            answers.append({"id": p["id"], "model": m, "turns": [text], "leaks": int(k == 0 and r.random() < 0.2), "cut": int(r.random() < 0.05)})
    length = {(a["id"], a["model"]): len(a["turns"][0]) for a in answers}
    for judge, (first, gain, middle, noise) in judges.items():
        for i, p in enumerate(prompts):
            for a in range(len(models)):
                for b in range(a):
                    strong = {models[a]: skill[models[a]] + r.gauss(0, 0.5), models[b]: skill[models[b]] + r.gauss(0, 0.5)}
                    for order in ([models[b], models[a]], [models[a], models[b]]):
                        scores = [score_of(r, gain, middle, noise, strong[order[0]] - strong[order[1]] + first * 0.5), score_of(r, gain, middle, noise, strong[order[1]] - strong[order[0]] - first * 0.5)]
                        better = "Assistant 1" if scores[0] > scores[1] else "Assistant 2"
                        text = f"{scores[0]} {scores[1]}\n{better} gives the clearer answer; the other leaves out a case."
                        if hostile and i < len(HOSTILE):
                            text += "\n" + HOSTILE[i]
                        broken = r.random() < 0.01
                        lines.append(judge_line(judge, p, order, None if broken else scores, "Both are fine." if broken else text, lengths=[length[p["id"], m] for m in order]))
        for k, kind in enumerate(["mismatched", "empty", "truncated", "identical"] * 5):
            p, slot = prompts[k % n], k % 2
            caught = r.random() < (0.95 if judge == "gpt-4" else 0.8 if judge == "gpt-3.5-turbo" else 0.3)
            bad, good = (1, 7) if caught else (6, 6)
            if kind == "identical":
                bad = good = 6
            lines.append(judge_line(judge, p, [models[-1], models[-1]], [bad, good] if slot == 0 else [good, bad], f"{bad} {good}\nA trick question.", canary=kind, slot=slot))
    put = lambda name, rows: (directory / name).write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in rows))
    put("prompts.jsonl", prompts)
    put("answers.jsonl", answers)
    put("judgements.jsonl", lines)
    (directory / "run.json").write_text(json.dumps({"settings": {"base": models[0], "tuned": models[-1], "judges": list(judges), "protocol": PROTOCOL, "seed": seed, "temperature": 0.2, "top_p": 0.95, "top_k": 50, "system": HOSTILE[0]}, "program": "starchat 0.1.0"}, indent=1))
    return directory


# ---- tests ---------------------------------------------------------------------------------------------------------------------------------

os.environ.setdefault("STARCHAT_CLIENTS", json.dumps({"url": "http://127.0.0.1:9", "model": "", "tiny": True, "key": ""}))      # what page.py reads when it is imported
import page  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("--") else ROOT / "build/starchat").resolve())
AXE = next((p for p in (pathlib.Path(os.environ.get("AXE", "/nonexistent")), ROOT / "web/node_modules/axe-core/axe.min.js") if p.is_file()), None)
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-report-"))
SLOW = 4 if os.environ.get("STARCHAT_SANITIZED") else 1


def report(directory, out=None, ok=True):
    out = pathlib.Path(out or directory / "report.html")
    done = subprocess.run([PROGRAM, "judge", "report", str(directory), "--out", str(out)], capture_output=True, text=True, env={**os.environ, "HOME": str(SCRATCH), "LC_ALL": "C.UTF-8"}, timeout=120 * SLOW)
    assert (done.returncode == 0) == ok, done.stderr
    return out.read_text() if ok else done.stderr


class Runs:
    """Runs and their pages, made once."""
    made = {}

    @classmethod
    def get(cls, name, **how):
        if name not in cls.made:
            directory = make_run(SCRATCH / name, **how)
            report(directory)
            cls.made[name] = directory
        return cls.made[name]


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


class Structure(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.elements, self.scripts, self.style, self.policy, self.inside = [], [], "", "", None

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"]
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        if self.inside == "style":
            self.style += data

    def handle_endtag(self, tag):
        self.inside = None


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_one_file_that_nothing_can_get_out_of():
    text = (Runs.get("plain") / "report.html").read_text()
    s = Structure()
    s.feed(text)
    assert [a for a, _ in s.scripts] == [{"type": "application/json", "id": "data"}, {}], [a for a, _ in s.scripts]
    assert s.policy == f"default-src 'none';base-uri 'none';form-action 'none';style-src {digest(s.style)};script-src {digest(s.scripts[1][1])}", s.policy
    assert not [e for e in s.elements if e[0] in ("img", "iframe", "link", "object", "svg", "a") or any(k.startswith("on") or k in ("src", "href", "style") for k in e[1])]
    body = s.scripts[0][1]
    assert not set("<>&\u2028\u2029") & set(body)
    assert "innerHTML" not in s.scripts[1][1] and "eval(" not in s.scripts[1][1] and "document.write" not in s.scripts[1][1]


def test_all_of_the_run_is_in_it():
    directory = Runs.get("plain")
    data = data_of((directory / "report.html").read_text())
    lines = [json.loads(x) for x in (directory / "judgements.jsonl").read_text().split("\n") if x]
    answers = {(a["id"], a["model"]): a["turns"] for a in map(json.loads, (directory / "answers.jsonl").read_text().rstrip("\n").split("\n"))}
    assert len(data["judgements"]) == len(lines) and len(data["prompts"]) == 115
    for mine, line in zip(data["judgements"], lines):
        assert data["judges"][mine["j"]]["judge"] == line["judge"] and data["prompts"][mine["p"]]["id"] == line["id"]
        assert [data["models"][m] for m in mine["m"]] == line["models"] and mine["text"] == line["text"]
        assert mine.get("s", []) == line.get("scores", []) and mine["w"] == {"A": 1, "B": 2, "tie": 3, None: 0}[line.get("winner")] and mine.get("canary") == line.get("canary")
    for a in data["answers"]:
        assert answers.pop((data["prompts"][a["p"]]["id"], data["models"][a["m"]])) == a["turns"]
    assert not answers and data["run"]["settings"]["system"] == HOSTILE[0]
    assert data["verdict"]["pairs"] and data["audit"]["judges"][0]["histogram"] and data["ranges"]["starchat"] == [1, 8]


def test_summary_in_markdown():
    text = report(Runs.get("plain"), SCRATCH / "summary.md")
    pairs = {(p["judge"], p["slice"]): p for p in data_of((Runs.get("plain") / "report.html").read_text())["verdict"]["pairs"]}
    for name in ("", "feedback"):
        p = pairs["gpt-4", name]
        row = f"| gpt-4 | StarChat-alpha | StarCoderBase |{' ' + name + ' |' if name else ''} {p['prompts']} | {p['win']} | {p['tie']} | {p['loss']} | {100 * p['win_rate']:.1f} % | {100 * p['low']:.1f} to {100 * p['high']:.1f} % | {format(p['p_adjusted'], '.4f') if p['p_adjusted'] >= 1e-4 else 'below 0.0001'} | {p['result']} | {p['incomplete']} |"
        assert row in text, row
    p = pairs["gpt-4", ""]
    lines = [json.loads(x) for x in (Runs.get("plain") / "judgements.jsonl").read_text().split("\n") if x]
    failed = {x["id"] for x in lines if x["judge"] == "gpt-4" and "error" in x and "canary" not in x}
    assert p["incomplete"] == len(failed) > 0 and p["prompts"] == 115 - len(failed), (p["incomplete"], failed)
    assert text.startswith("# Judged: plain\n") and "adjusted by Holm" in text and "tiny-7b, StarChat-alpha against StarCoderBase: no verdict" in text
    assert "<script" not in text and "&lt;/script>" in text
    assert "## Agreement" in text and "## To repeat the run" in text


def test_files_that_are_missing():
    directory = SCRATCH / "bare"
    directory.mkdir()
    shutil.copy(Runs.get("plain") / "judgements.jsonl", directory)
    data = data_of(report(directory))
    assert len(data["prompts"]) == 115 and data["prompts"][0]["turns"] == [] and data["answers"] == [] and data["run"] == {}
    (directory / "judgements.jsonl").write_text(json.dumps({"judge": "j", "protocol": "starchat", "id": "p", "models": ["a", "b"], "error": "nothing", "text": "hm"}) + "\n")
    data = data_of(report(directory))
    assert data["judgements"][0]["error"] == "nothing" and data["verdict"] == {}
    (directory / "run.json").write_text("[]")
    assert "run.json is no JSON object" in report(directory, ok=False)
    (directory / "run.json").unlink()
    (directory / "judgements.jsonl").write_text('{"judge":"j"')
    assert "judgements.jsonl" in report(directory, ok=False)


# ---- in a browser ----------------------------------------------------------------------------------------------------------------------------

class Look:
    """A page in the browser: `Look(directory)` opens it, `v` evaluates."""
    browser = home = None

    def __init__(self, directory, width=1280, height=900, dark=False, hash=""):
        if Look.browser is None:
            Look.home = tempfile.TemporaryDirectory(prefix="starchat-report-", ignore_cleanup_errors=True)
            Look.browser = page.Browser(Look.home.name)
            b = Look.browser
            b.session = b.ask("Target.attachToTarget", targetId=b.ask("Target.createTarget", url="about:blank")["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                b.ask(domain + ".enable")
        self.b = Look.browser
        self.b.events.clear()
        self.b.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.b.ask("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.b.ask("Page.navigate", url="about:blank")
        self.url = (directory / "report.html").as_uri()
        self.b.ask("Page.navigate", url=self.url + hash)
        self.b.wait("document.readyState === 'complete' && document.querySelector('main section') !== null", 60 * SLOW)
        self.v, self.wait = self.b.value, self.b.wait

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.b.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" and len(key) == 1 else "")

    def click(self, selector):
        self.v(f"document.querySelector({json.dumps(selector)}).click()")

    def set(self, label, value):
        self.v(f"(() => {{ const s = [...document.querySelectorAll('.filters label')].find(l => l.textContent.startsWith({json.dumps(label)})).querySelector('select'); "
               f"s.value = [...s.options].find(o => o.text === {json.dumps(value)}).value; s.dispatchEvent(new Event('change')); }})()")

    def tick(self, label):
        self.v(f"[...document.querySelectorAll('.filters .tick')].find(l => l.textContent === {json.dumps(label)}).querySelector('input').click()")

    def status(self):
        return self.v("document.querySelector('.status').textContent")

    def shown(self):
        return int(self.status().split(" of ")[0].replace(",", ""))

    def title(self):
        return self.v("document.querySelector('#detail-title').textContent")

    def complaints(self):
        bad = []
        for e in self.b.events:
            p, method = e.get("params", {}), e.get("method")
            if method == "Runtime.exceptionThrown":
                bad.append("script: " + p["exceptionDetails"].get("exception", {}).get("description", p["exceptionDetails"]["text"])[:200])
            elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
                bad.append("log: " + p["entry"]["text"][:200])
            elif method == "Network.requestWillBeSent" and not p["request"]["url"].startswith((self.url, "about:", "data:")):
                bad.append("request to " + p["request"]["url"][:200])
        return bad + ([f"pwned: {self.v('window.pwned')}"] if self.v("window.pwned !== undefined") else [])


def browser_parts_and_pictures():
    p = Look(Runs.get("plain"))
    assert p.v("[...document.querySelectorAll('main h2')].map(h => h.textContent)") == ["Verdict", "Are the judges to be trusted?", "How the judges use their scale", "Wins, ties and losses", "Do the judges agree?", "Every judgement", "To repeat the run"]
    assert p.v("document.querySelectorAll('#scale svg[role=img]').length") == 3
    assert p.v("document.querySelector('#scale svg[role=img] rect').getBoundingClientRect().height") > 0
    data = data_of((Runs.get("plain") / "report.html").read_text())
    pair = next(x for x in data["verdict"]["pairs"] if x["judge"] == "gpt-4" and x["by"] == "all")
    assert f"{100 * pair['win_rate']:.1f}" in p.v("document.querySelector('#verdict .big').textContent")
    assert p.v("document.querySelectorAll('#verdict .card.off').length") == sum("withheld" in x for x in data["verdict"]["pairs"] if x["by"] == "all")
    assert p.v("document.querySelectorAll('#slices .stack').length") == sum("withheld" not in x for x in data["verdict"]["pairs"] if x.get("judges", [1, 2]) != ["gpt-4"])
    assert not p.v("document.body.innerText.includes('[object') || document.body.innerText.includes('undefined') || document.body.innerText.includes('NaN')")
    assert not p.complaints(), p.complaints()


def browser_odd_files_are_shown_as_far_as_they_go():
    base = Runs.get("plain")
    good = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', (base / "report.html").read_text(), re.S)[1])
    names, calls = good["models"], len(good["judgements"])
    odd = {
        "object": ({"judges": {}, "agreement": 1}, {"pairs": {}}, ["\"pairs\" of verdict.json is an object, expected a list", "verdict.json has no \"models\"", "\"judges\" of audit.json is an object"]),
        "empty": ({}, {}, ["verdict.json has no \"pairs\"", "audit.json has no \"judges\""]),
        "within": ({"judges": [{"judge": 7, "histogram": {names[0]: 3, names[1]: {"1": "x", "2": 5}}, "range": "all", "findings": {"a": 1}, "canaries": {"empty": None, "x": {"n": "3"}}, "swap": 1, "slot": [], "length": "long"}, {"judge": "gpt-4", "mean": "high", "calls": None}], "agreement": [{"a": None}]},
                   {"models": names, "pairs": [{"tuned": 3, "by": "all", "judges": "all", "win_rate": "0.5", "raw": 4}, {"by": "all", "withheld": True, "raw": None}, *good["verdict"]["pairs"]], "ratings": [{"model": None, "bradley_terry": 3}], "scores": [{"mean": 5, "protocol": 9}], "notes": [{"a": 1}, "told"]}, ["\"notes\" of verdict.json holds 1 of another kind"]),
    }
    for name, (audit, verdict, said) in odd.items():
        directory = SCRATCH / ("odd-" + name)
        shutil.copytree(base, directory)
        (directory / "audit.json").write_text(json.dumps(audit))
        (directory / "verdict.json").write_text(json.dumps(verdict))
        report(directory)
        p = Look(directory)
        text = p.v("document.body.innerText")
        for words in said:
            assert words in text, (name, words, text[:1500])
        assert {"Verdict", "Are the judges to be trusted?", "Every judgement", "To repeat the run"} <= set(p.v("[...document.querySelectorAll('main h2')].map(h => h.textContent)")), name
        assert p.shown() == 345 and p.v("document.querySelectorAll('.opinion').length") == 2 and calls == len(data_of((directory / "report.html").read_text())["judgements"])
        assert not p.complaints(), (name, p.complaints())
        if name == "within":
            row = next(x for x in good["verdict"]["pairs"] if x["judge"] == "gpt-4" and x["by"] == "all")
            assert f"{100 * row['win_rate']:.1f}" in text                    # what is whole is shown all the same
    lone = SCRATCH / "odd-lines"                                             # a canary of one answer with a winner and no score
    lone.mkdir()
    (lone / "judgements.jsonl").write_text("".join(json.dumps(x) + "\n" for x in [{"judge": "j", "protocol": "fastchat-single", "id": "p", "models": ["a"], "winner": "A", "canary": "empty", "text": "?"}, {"judge": "j", "protocol": "fastchat-single", "id": "q", "models": ["a"], "scores": [7], "text": "[[7]]"}]))
    report(lone)
    p = Look(lone)
    assert p.shown() == 1 and not p.complaints(), p.complaints()


def browser_says_how_sure_it_is():
    p = Look(Runs.get("plain"))
    pair = next(x for x in data_of((Runs.get("plain") / "report.html").read_text())["verdict"]["pairs"] if x["judge"] == "gpt-4" and x["by"] == "all")
    text = p.v("document.querySelector('#verdict').textContent")
    assert f"{pair['incomplete']} comparison" in text and "without the verdict of an order or an answer, and left out" in text
    four = Look(Runs.get("four", n=40, models=("base-1b", "tuned-1b", "tuned-7b", "tuned-15b")))
    pairs = [x for x in data_of((Runs.get("four") / "report.html").read_text())["verdict"]["pairs"] if x["judge"] == "gpt-4" and x["by"] == "all"]
    clear = sum(x["result"] != "open" for x in pairs)
    assert len(pairs) == 6 and all(x["tests"] == 6 and (x["result"] == "open" or x["p_adjusted"] < 0.05) for x in pairs)
    assert f"Of 6 pairs of models {clear} differ for sure, by the sign test with Holm\u2019s correction for as many." in four.v("document.querySelector('#verdict').textContent")
    p = Look(Runs.get("plain"))
    p.set("Judge", "gpt-4")
    p.set("Outcome", "incomplete")
    assert p.shown() == pair["incomplete"], (p.shown(), pair["incomplete"])
    assert not p.complaints(), p.complaints()


def browser_hostile_texts_are_texts():
    p = Look(Runs.get("plain"))
    for i in range(len(HOSTILE)):
        text = p.v("document.querySelector('.detail').textContent")
        first = HOSTILE[i].split("\n")[0]
        expected = re.sub("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", lambda m: f"[U+{ord(m[0]):04X}]", first)
        assert expected.strip() in text, (i, expected, text[:2000])
        assert text.count(expected.strip()[:40]) >= 4, i               # two answers, two judgements
        p.key("j")
        p.wait(f"document.querySelector('#detail-title').textContent !== 'instruction-{i + 1:02d}'")
    assert p.v("document.querySelectorAll('main img, main iframe, main script, main meta, main style, main [onerror], main [onload]').length") == 0
    assert p.v("[...document.querySelectorAll('main a')].every(a => a.getAttribute('href').startsWith('#'))")
    assert not p.complaints(), p.complaints()


def browser_filters():
    p = Look(Runs.get("plain"))
    data = data_of((Runs.get("plain") / "report.html").read_text())
    assert p.shown() == 345 and p.status() == "345 of 405 questions to judges", p.status()
    p.set("Judge", "gpt-4")
    assert p.shown() == 115
    p.set("Slice", "feedback")
    assert p.shown() == 29
    p.set("Language", "python")
    assert p.shown() == sum(x["slice"] == "feedback" and x["language"] == "python" for x in data["prompts"])
    for name in ("Judge", "Slice", "Language"):
        p.set(name, "all")
    p.set("Canaries", "only these")
    assert p.shown() == 60
    p.set("Outcome", "seen")
    data_seen = {j["judge"]: sum(c["caught"] for c in j["canaries"].values()) for j in data["audit"]["judges"]}
    assert p.shown() == sum(data_seen.values()), (p.shown(), data_seen)          # the page and the audit mean the same
    p.set("Outcome", "all")
    p.set("Canaries", "left out")
    p.set("Outcome", "turned round")
    turned = p.shown()
    p.set("Outcome", "all")
    p.tick("turned round on swap")
    assert 0 < turned == p.shown() < 345
    p.tick("turned round on swap")
    p.tick("judges disagree")
    assert 0 < p.shown() < 345 and p.shown() % 1 == 0
    p.tick("judges disagree")
    p.tick("without a verdict")
    assert p.shown() == len({(x["j"], x["p"]) for x in data["judgements"] if x.get("error")}) > 0
    p.tick("without a verdict")
    p.key("/")
    assert p.v("document.activeElement.type") == "search"
    p.b.ask("Input.insertText", text="multiplication TABLE")
    p.wait("document.querySelector('.status').textContent.startsWith('3 of')")
    p.b.ask("Input.insertText", text=" nowhere")
    p.wait("document.querySelector('.list').textContent.includes('Nothing fits')")
    assert not p.complaints(), p.complaints()


def browser_keys_and_links():
    p = Look(Runs.get("plain"))
    assert p.title() == "instruction-01"
    p.key("j")
    p.wait("document.querySelector('#detail-title').textContent === 'instruction-02'")
    p.key("k")
    p.wait("document.querySelector('#detail-title').textContent === 'instruction-01'")
    p.key("x")
    p.wait("[...document.querySelectorAll('.detail header .chip')].some(c => /turned round|disagree/.test(c.textContent))")
    for _ in range(30):
        p.key("j")
    p.wait("document.querySelector('.row.on') !== null")
    hash = p.v("location.hash")
    title = p.title()
    again = Look(Runs.get("plain"), hash=hash)
    assert again.title() == title and again.v("document.querySelector('.row.on a').getAttribute('href')") == hash
    assert again.v("document.querySelectorAll('.opinion').length") == 2        # both orders
    first = again.v("[...document.querySelectorAll('.opinion h4')].map(h => h.textContent)")
    assert first == ["StarCoderBase first, StarChat-alpha second", "StarChat-alpha first, StarCoderBase second"], first
    again.click(".others a")
    again.wait(f"location.hash !== {json.dumps(hash)} && document.querySelector('#detail-title').textContent === {json.dumps(title)}")
    assert not again.complaints(), again.complaints()


def browser_thousands_stay_quick():
    directory = Runs.get("many", n=1500, hostile=False)
    begin = time.monotonic()
    p = Look(directory)
    assert time.monotonic() - begin < 20 * SLOW
    assert p.shown() == 4500 and p.v("document.querySelectorAll('.row').length") < 60 and p.v("document.querySelectorAll('*').length") < 4000
    spent = p.v("(() => { const t = performance.now(), l = document.querySelector('.list'); l.scrollTop = 200000; l.dispatchEvent(new Event('scroll')); return performance.now() - t; })()")
    assert spent < 500 * SLOW, spent
    assert p.v("[...document.querySelectorAll('.row')].some(r => { const a = r.getBoundingClientRect(), b = document.querySelector('.list').getBoundingClientRect(); return a.top >= b.top && a.bottom <= b.bottom; })")
    spent = p.v("(() => { const t = performance.now(), s = document.querySelector('input[type=search]'); s.value = 'no such words'; applyFilters(); return performance.now() - t; })()")
    assert spent < 3000 * SLOW and p.shown() == 0, spent


def browser_more_than_two_models():
    p = Look(Runs.get("four", n=40, models=("base-1b", "tuned-1b", "tuned-7b", "tuned-15b")))
    assert "Ratings" in p.v("[...document.querySelectorAll('main h2')].map(h => h.textContent)")
    assert p.v("document.querySelector('#verdict .card .big').textContent") == "tuned-15b"
    assert not p.v("document.body.innerText.includes('[object') || document.body.innerText.includes('undefined') || document.body.innerText.includes('NaN')")
    assert not p.complaints(), p.complaints()


def browser_phone_and_print():
    p = Look(Runs.get("plain"), width=390, height=844)
    assert p.v("document.documentElement.scrollWidth") <= 390
    p.b.ask("Emulation.setEmulatedMedia", media="print")
    assert p.v("getComputedStyle(document.querySelector('.list')).display") == "none" and p.v("getComputedStyle(document.querySelector('.detail')).overflow") == "visible"
    assert len(p.b.ask("Page.printToPDF", seconds=60 * SLOW)["data"]) > 10000


def browser_axe_finds_nothing():
    if not AXE:
        print("skipped: axe-core is not there (npm ci in web/), so nothing looked at accessibility")
        return
    for name, how in (("plain", {}), ("plain", {"dark": True}), ("plain", {"width": 390, "height": 844}), ("four", {})):
        p = Look(Runs.get(name, n=40, models=("base-1b", "tuned-1b", "tuned-7b", "tuned-15b")) if name == "four" else Runs.get(name), **how)
        p.v(AXE.read_text() + ";0")
        p.v("document.querySelectorAll('details').forEach(d => d.open = true)")
        p.b.ask("Runtime.evaluate", expression="axe.run({resultTypes: ['violations']}).then(r => { window.found = r.violations.map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))]); })")
        p.wait("window.found !== undefined", 60 * SLOW)
        assert p.v("window.found") == [], (name, how, p.v("window.found"))


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--make":
        return print(make_run(sys.argv[2], n=int(sys.argv[3]) if len(sys.argv) > 3 else 115))
    wanted, passed, failed = sys.argv[2:], 0, 0
    checks = [(n, f) for n, f in globals().items() if n.startswith("test_") or (n.startswith("browser_") and page.COMMAND)]
    if not page.COMMAND:
        print("skipped: no chromium (apt-get install chromium), so nothing looked at the page of judge report")
    for name, check in checks:
        if wanted and name not in wanted and name.split("_", 1)[1] not in wanted:
            continue
        try:
            check()
            passed += 1
            print("ok    ", name)
        except Exception:
            failed += 1
            print("FAILED", name)
            traceback.print_exc(limit=3, file=sys.stdout)
    if Look.browser:
        Look.browser.close()
        Look.home.cleanup()
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
