#!/usr/bin/env python3
"""Makes data/train.jsonl and data/heldout.jsonl, the coding dialogues of the demo. Usage: make_data.py DIALOGUES OUT

DIALOGUES holds exercism/exercism.jsonl, tldr/tldr.jsonl and octopack-oasst/oasstcommitpackftmanual.jsonl (data/SOURCES.md
says where they come from). The same input gives the same bytes: choices follow hashes, nothing is drawn at random.
"""
import hashlib
import json
import re
import sys

# Characters of the longest answer, and of a dialogue without the pages of commands: what a tiny model can learn in minutes
# to say and to end is short.
ANSWER, WHOLE, PAGE = 800, 1600, 2800
TRAIN = {"exercism": 10000, "tldr": 200, "oasst": 10000}
HELD = {"exercism": 45, "tldr": 60, "oasst": 8}
ENGLISH = set("the a to of in and is how what with for can you i me write that this it".split())


def order(text):
    return hashlib.sha256(text.encode()).hexdigest()


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_fine(name, messages):
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    whole = sum(len(m["content"]) for m in messages)
    return whole <= (PAGE if name == "tldr" else WHOLE) and max(map(len, answers)) <= ANSWER and min(map(len, answers)) >= 2


def exercism(path):
    """Group: the exercise's name, the same in all languages."""
    return [(r["id"].split("/")[1], r["id"], r["messages"]) for r in lines(path)]


def plain(command):
    """{{[-a|--all]}} is --all, {{one|two}} is one, {{path}} is path."""
    def choose(match):
        inside = match.group(1)
        if inside.startswith("[") and inside.endswith("]"):
            return inside[1:-1].split("|")[-1]
        return inside.split("|")[0]
    return re.sub(r"\{\{(.*?)\}\}", choose, command)


def tldr(path):
    """Group: the program, so that git-add and git-commit stay together."""
    found = []
    for r in lines(path):
        messages = [{"role": m["role"], "content": plain(m["content"]) if m["role"] == "assistant" else m["content"]} for m in r["messages"]]
        found.append((r["id"].split("/")[1].split("-")[0], r["id"], messages))
    return found


def oasst(path):
    """Answers with code, in English."""
    found = []
    for r in lines(path):
        prompt, answer = r["prompt"].strip(), r["completion"].strip()
        words = re.findall(r"[a-z']+", prompt.lower())
        is_english = len(words) >= 4 and sum(w in ENGLISH for w in words) >= 0.2 * len(words) and prompt.isascii() and answer.isascii()
        if "```" in answer and is_english:
            messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            found.append((prompt, "oasst/" + order(prompt)[:12], messages))
    return found


def prompts(dialogue):
    return {m["content"].strip().lower() for m in dialogue[2] if m["role"] == "user"}


def split(name, dialogues):
    """Whole groups go to the held-out side; what shares a prompt with one of them is trained nowhere."""
    dialogues = [d for d in dialogues if is_fine(name, d[2])]
    count = {}
    for d in dialogues:
        for p in prompts(d):
            count[p] = count.get(p, 0) + 1
    held_groups, held = set(), []
    for group in sorted({d[0] for d in dialogues}, key=lambda g: order("held out " + g)):
        members = [d for d in dialogues if d[0] == group]
        unique = [d for d in members if all(count[p] == 1 for p in prompts(d))]
        if len(held) < HELD[name] and unique:
            held_groups.add(group)
            held += unique
    used = set().union(*(prompts(d) for d in held))
    train = [d for d in dialogues if d[0] not in held_groups and not prompts(d) & used]
    return sorted(train, key=lambda d: order(d[1]))[:TRAIN[name]], held


def write(path, dialogues):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for _, identity, messages in sorted(dialogues, key=lambda d: order(d[1])):
            file.write(json.dumps({"id": identity, "messages": messages}, ensure_ascii=False) + "\n")


def main():
    source, out = sys.argv[1:]
    sets = {"exercism": exercism(source + "/exercism/exercism.jsonl"), "tldr": tldr(source + "/tldr/tldr.jsonl"),
            "oasst": oasst(source + "/octopack-oasst/oasstcommitpackftmanual.jsonl")}
    train, held = [], []
    for name, dialogues in sets.items():
        some_train, some_held = split(name, dialogues)
        print(f"{name}: {len(some_train)} to train, {len(some_held)} held out, of {len(dialogues)}")
        train, held = train + some_train, held + some_held
    shared = set().union(*map(prompts, train)) & set().union(*map(prompts, held))
    assert not shared, shared
    write(out + "/train.jsonl", train)
    write(out + "/heldout.jsonl", held)


main()
