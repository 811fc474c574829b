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
            lines.append(judge_line(judge, p, [models[0], models[-1]], [bad, good] if slot == 0 else [good, bad], f"{bad} {good}\nA trick question.", canary=kind, slot=slot))
    put = lambda name, rows: (directory / name).write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in rows))
    put("prompts.jsonl", prompts)
    put("answers.jsonl", answers)
    put("judgements.jsonl", lines)
    (directory / "run.json").write_text(json.dumps({"settings": {"base": models[0], "tuned": models[-1], "judges": list(judges), "protocol": PROTOCOL, "seed": seed, "temperature": 0.2, "top_p": 0.95, "top_k": 50, "system": HOSTILE[0]}, "program": "starchat 0.1.0"}, indent=1))
    return directory
