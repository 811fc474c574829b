"""Renders chat templates with Jinja2 in the environment of transformers, for the template tests of the C program.

Cases: tools/oracle/templates/lines.txt (a template a line), white space (all combinations of trimming marks, built here)
and tests/golden/templates/whole/*.jinja with the conversations below. Templates and texts are the project's own.
It writes tests/golden/templates/cases.jsonl. The first line says script, versions and the named sets of variables; the
others are cases:
  {"id", "template" or "file", "with": set or "variables": {...}, "text": rendered}
  ... "error": true instead of "text"; "says": what raise_exception was given; "may_fail": an error is right as well
  (whole numbers beyond 64 bits); "unsupported": only an error is right (parts of Jinja2 that no chat template uses)
Error: the reference refuses or breaks off.

Usage: template_golden.py [--split] [--random N SEED] [OUT.jsonl]
--split gives each {{ }} of a line its own case; --random writes N made-up expressions instead. Try them with
  STARCHAT_GOLDEN_TEMPLATES=OUT.jsonl build/test_template golden
Made with: jinja2 3.1.6, transformers 5.23.0 (requirements.txt), Python 3.11. Time is 2024-07-26 13:45:09.
"""
import argparse
import datetime
import json
import pathlib
import platform
import re
import signal
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

import template_random

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/templates"
NOW = datetime.datetime(2024, 7, 26, 13, 45, 9)

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {
        "place": {"type": "string", "description": "Town & country, <short>"},
        "days": {"type": "integer", "description": "How many"},
        "unit": {"type": "string", "enum": ["C", "F"]}}, "required": ["place"]}}}
SEARCH = {"type": "function", "function": {
    "name": "search", "description": "Finds \"things\" über alles.",
    "parameters": {"type": "object", "properties": {
        "words": {"type": "array", "items": {"type": "string"}, "description": "What to look for"},
        "limit": {"type": ["integer", "null"], "description": "Most results", "default": 10},
        "weights": {"type": "object", "additionalProperties": {"type": "number"}, "description": "0.5 is usual"}},
        "required": ["words", "limit"]}}}
DEFAULT = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Hi there! "},
                 {"role": "assistant", "content": "Hello"}],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {"a": 1.5, "b": None}}}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
    "s": "Hello World", "u": "żółć 😀 ß ǆ", "n": 7, "z": 0, "m": -3, "f": 2.5, "t": True, "no": False, "nil": None,
    "l": [3, 1, 2], "d": {"b": 1, "a": 2, "C": 3},
    "deep": {"a": {"b": {"c": "bottom"}}, "list": [{"name": "p"}, {"name": "q"}], "x2": [1, [2.5, None]]},
    "clash": {"items": [1], "values": 2},
    "people": [{"name": "Bo", "age": 31, "city": "Oslo", "active": True, "tags": ["x", "y"], "address": {"zip": 3}},
               {"name": "al", "age": 25, "city": "Rome", "active": False, "tags": ["z"], "address": {"zip": 1}},
               {"name": "Cy", "age": 40, "city": "oslo", "active": True, "tags": [], "address": {"zip": 2}}],
    "tree": [{"name": "a", "children": [{"name": "b", "children": []}, {"name": "c", "children": [{"name": "d"}]}]},
             {"name": "e"}],
}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, ident="abc123XYZ"):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
ASK = turn("user", "How do I reverse a list in Python?")
ANSWER = turn("assistant", "Write `xs[::-1]`, or call xs.reverse().")
CALLED = turn("assistant", "", tool_calls=[call("get_weather", {"place": "Łódź <b>", "days": 2})])
RESULT = turn("tool", "{\"rain\": 0.5}", name="get_weather", tool_call_id="abc123XYZ")
CONVERSATIONS = {
    "one": {"messages": [ASK], "add_generation_prompt": True},
    "system": {"messages": [turn("system", "  You know Python well.\nUse it. "), ASK], "add_generation_prompt": True},
    "turns": {"messages": [ASK, ANSWER, turn("user", " And a tuple?\n\nQuickly! 😀 "), turn("assistant", "tuple(reversed(t))\n")]},
    "long": {"messages": [turn("system", "Short answers. /no_think"), turn("user", "a"), turn("assistant", "<think>\nhm, a\n</think>\n\nb"),
                          turn("user", "c d e"), turn("assistant", "<think>f</think>g"), turn("user", "it's \"<h>\" & 'i'")],
             "add_generation_prompt": True, "enable_thinking": False},
    "tools": {"messages": [turn("system", "Call functions."), turn("user", "Weather in Łódź?"), CALLED, RESULT,
                           turn("assistant", "Some rain."), turn("user", "Thanks")],
              "tools": [WEATHER, SEARCH], "add_generation_prompt": True},
    "called": {"messages": [turn("user", "Look up cats and the weather"),
                            turn("assistant", "Both.", tool_calls=[call("search", {"words": ["cat", "ⓒ"], "limit": None}),
                                                                   call("get_weather", {"place": "x", "days": 1.0}, "123456789")]),
                            turn("tool", "[]", tool_call_id="abc123XYZ"), turn("tool", "dry", tool_call_id="123456789")],
               "tools": [SEARCH], "add_generation_prompt": True, "tools_in_user_message": False},
    "wrong_order": {"messages": [ASK, turn("user", "Again?"), ANSWER], "add_generation_prompt": True},
    "wrong_role": {"messages": [turn("narrator", "Once upon a time"), ASK], "add_generation_prompt": True},
    "starts_with_answer": {"messages": [ANSWER, ASK], "add_generation_prompt": False},
    "nobody": {"messages": [], "add_generation_prompt": True},
    "no_content": {"messages": [ASK, turn("assistant", None)], "tools": None},
    "markup": {"messages": [turn("system", "<|im_end|>{{ 1 }}"), turn("user", "<|im_start|>system\n[INST] </s> {% if %}"), ANSWER],
               "add_generation_prompt": True},
    "parts": {"messages": [turn("user", [{"type": "text", "text": " What is this? "}, {"type": "image"}, {"type": "text", "text": "And this?"}]), ANSWER],
              "add_generation_prompt": True},
    "documents": {"messages": [ASK], "documents": [{"title": "First", "text": "Lists have an order; tuples do as well, always."},
                                                   {"text": "Short."}], "controls": {"citations": True, "length": "short"}, "add_generation_prompt": True},
}
ALWAYS, TURNING = ["one", "system", "turns", "tools"], [c for c in CONVERSATIONS if c not in ("one", "system", "turns", "tools")]


class Oracle:
    """The environment that transformers builds for a template, with the clock stopped."""

    def __init__(self):
        self.environment = chat_template_utils._compile_jinja_template("").environment
        self.environment.globals["strftime_now"] = lambda format: NOW.strftime(format)

    def render(self, template, variables):
        """{"text": ...} or {"error": True}, with what raise_exception said."""
        signal.alarm(10)
        try:
            return {"text": self.environment.from_string(template).render(**variables)}
        except jinja2.TemplateSyntaxError:
            return {"error": True}
        except jinja2.exceptions.TemplateError as e:
            return {"error": True, "says": str(e)} if type(e) is jinja2.exceptions.TemplateError else {"error": True}
        except Exception:
            return {"error": True}
        finally:
            signal.alarm(0)


# ---- the cases: (id, template or path, name of a set or dict, may_fail) ------------------------------------------------


def line_cases(split):
    section, number = "", 0
    for line in (ROOT / "tools/oracle/templates/lines.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("=== "):
            section, number = line[4:], 0
        elif line:
            number += 1
            mark, template = re.fullmatch(r"(?:(may_fail|unsupported): )?(.*)", line).groups()
            template, _, variables = template.partition(" <== ")
            parts = re.split(r"(?<=\}\})\|(?=\{\{)", template) if "{%" not in template and (split or variables == "") else [template]
            yield f"{section}/{number}", template, parts, json.loads(variables) if variables else "default", mark


TAGS = [("{S} if t {E}", "{S} endif {E}"), ("{S} for i in l {E}", "{S} endfor {E}"), ("{S} set x {E}", "{S} endset {E}{{{{ x }}}}"),
        ("{S} macro q() {E}", "{S} endmacro {E}{{{{ q() }}}}"), ("{S} filter upper {E}", "{S} endfilter {E}"),
        ("{S} generation {E}", "{{{{ n }}}}{S} endgeneration {E}"), ("{S} raw {E}", "{S} endraw {E}"), ("{S} set y = 1 {E}", ""),
        ("{C} note {D}", ""), ("{P} n {Q}", ""), ("{S} if no {E}", "{S} else {E}")]
BEFORE = ["", " ", "\n", "\n  ", "\n\n\t", "x", "x  ", "x\n \n  ", "\r\n  ", "x\r", "\u00a0", "\n\u00a0 ", "\v", "\n\f "]
BEHIND = ["", " ", "\n", " \n", "\n\n", "\n  ", "y", "  y", "\r\n", "\r", "\r\r\n", "\n\r\n", "\u2028\n", "\t\n "]


def fill(tag, left, right):
    return tag.format(S="{%" + left, E=right + "%}", C="{#" + left, D=right + "#}", P="{{" + left, Q=right + "}}")


def space_cases():
    for k, (opening, closing) in enumerate(TAGS):
        for a, before in enumerate(BEFORE):
            pieces = []
            for i in range(36):
                left, right = ("", "-", "+")[i % 3], ("", "-", "+")[i // 3 % 3]
                behind, inner = BEHIND[(a + i * 5 + k) % len(BEHIND)], BEHIND[(a * 3 + i) % len(BEHIND)]
                plus_ends = not re.search("C|P|raw", opening)                # {{ +}}, {# +#} and {% raw +%} are no tags
                text = before + fill(opening, left, right if plus_ends else right.replace("+", "")) + behind
                if closing:
                    text += inner + fill(closing, right, left) + behind
                    if opening.startswith("{S} if no"):
                        text += "e{% endif %}"
                pieces.append(text)
            for part in range(0, 36, 12):
                yield f"space/{k}.{a}.{part}", "[" + "][".join(pieces[part:part + 12]) + "]"
    for i, text in enumerate(["a\n", "a\n\n", "a\r\n", "a\r", "\n", "", "a\n ", "{{ n }}\n", "{% if t %}\n{% endif %}\n", "{# c #}\n", "{% raw %}\n{% endraw %}\n",
                              "{{ 'a\r\nb' }}|{{ 'a\rb' | length }}|{{ 'a\nb' }}", "{{\nn\n}}", "{%\nif\nt\n%}x{%\nendif\n%}", "{{ [1,\n2] }}\r\n{#\n\n#}\n x",
                              "\ufeff{{ n }}", "{% set a %}\n  x\n{% endset %}\n[{{ a }}]\n", "{%- -%}", "a{{- -}}b", "{{- n -}}\n\n{{- n -}}", "{{-n-}} {{-1-}}", "{{ -1 }}{{--1}}"]):
        yield f"space/end.{i}", text


def whole_cases():
    for i, path in enumerate(sorted((GOLDEN / "whole").glob("*.jinja"))):
        for name in ALWAYS + [TURNING[(i * 3 + k) % len(TURNING)] for k in range(3)]:
            yield f"{path.stem}/{name}", path, name


def all_cases(oracle, sets, split):
    for ident, template, parts, variables, mark in line_cases(split):
        known = {**DEFAULT, **variables} if isinstance(variables, dict) else DEFAULT
        if split or (len(parts) > 1 and "error" in oracle.render(template, known)):
            for k, part in enumerate(parts):
                yield case(oracle, f"{ident}.{k}", part, variables, known, mark)
        else:
            yield case(oracle, ident, template, variables, known, mark)
    for ident, template in space_cases():
        yield case(oracle, ident, template, "default", DEFAULT, None)
    for what in ("x | upper", "x | lower", "x | list | map('capitalize') | join", "x.title()", "x.swapcase()", "x.casefold()",
                 "x | list | select('upper') | join", "x | list | select('lower') | join"):
        yield {"id": f"case/{what}", "template": f"{{{{ {what} }}}}", "with": "cased", **oracle.render(f"{{{{ {what} }}}}", sets["cased"])}
    for ident, path, name in whole_cases():
        source = path.read_bytes().decode("utf-8")
        yield {"id": ident, "file": f"whole/{path.name}", "with": name, **oracle.render(source, sets[name])}


def case(oracle, ident, template, variables, known, mark):
    head = {"id": ident, "template": template}
    head |= {"variables": variables} if isinstance(variables, dict) else {"with": variables}
    return head | ({mark: True} if mark else {}) | oracle.render(template, known)


def cased():
    """All characters beyond ASCII that some case mapping changes."""
    every = map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x110000)])
    return "".join(c for c in every if {c.upper(), c.lower(), c.title(), c.casefold(), c.swapcase()} != {c})


def write(out, cases, sets):
    n = errors = 0
    with open(out, "w", encoding="utf-8", newline="\n") as f:
        head = {"script": "tools/oracle/template_golden.py", "jinja2": jinja2.__version__, "transformers": transformers.__version__,
                "python": platform.python_version(), "now": NOW.isoformat(), "sets": sets}
        f.write(json.dumps(head, ensure_ascii=False) + "\n")
        for c in cases:
            if re.search(r" at 0x[0-9a-f]{6,}|\x00", c.get("text", "")):
                print(f"left out {c['id']}: {c['text']!r}", file=sys.stderr)
                continue
            f.write(json.dumps(c, ensure_ascii=False) + "\n")
            n, errors = n + 1, errors + ("error" in c)
    print(f"{n} cases, {errors} of them errors: {out}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--split", action="store_true")
    p.add_argument("--random", type=int, nargs=2, metavar=("N", "SEED"))
    p.add_argument("out", nargs="?", default=str(GOLDEN / "cases.jsonl"))
    a = p.parse_args()
    oracle = Oracle()
    sets = {"default": DEFAULT, "cased": {"x": cased()}, **{k: {**TOKENS, **v} for k, v in CONVERSATIONS.items()}}
    if a.random:
        made = template_random.templates(*a.random)
        cases = (case(oracle, f"random/{a.random[1]}.{i}", t, "default", DEFAULT, None) for i, t in enumerate(made))
    else:
        cases = all_cases(oracle, sets, a.split)
    write(a.out, cases, sets)


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
    main()
