"""Compares what starchat reads of Parquet files with the rows that stand beside them.

FOLDER/hyparquet holds X.parquet with X.json (a list of rows, each a list of columns or an object), FOLDER/dialogues holds
NAME-CODEC.parquet with NAME.expected.jsonl.  Equal are: numbers within 1e-6 of their size, a missing key and null,
NaN and null, an empty list and null (JSON of the library that made the files knows no difference), a whole number and
its digits as text, and times however they are written.  Prints each file that differs or is refused; exits 1 if one
differs or more than --refused files are refused.

Usage: parquet_rows.py BENCH_READING FOLDER [--refused N]
Standard library only.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys

TIME = re.compile(r"\+?0*(\d{4,}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(?:Z|\+00(?::00)?)?$")


def plain(value):
    """A value in the one spelling that is compared."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list):
        return [plain(v) for v in value] or None
    if isinstance(value, dict):
        members = {k: plain(v) for k, v in value.items()}
        return {k: v for k, v in members.items() if v is not None}
    time = TIME.match(value) if isinstance(value, str) else None
    if time:
        return f"{time[1]}T{time[2]}{(time[3] or '').rstrip('0').rstrip('.')}"
    return value


def differ(found, wanted, at=""):
    """Where two plain values differ, or None."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(set(found) | set(wanted)):
            d = differ(found.get(key), wanted.get(key), f"{at}.{key}")
            if d:
                return d
        return None
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return next((d for i, (f, w) in enumerate(zip(found, wanted)) if (d := differ(f, w, f"{at}[{i}]"))), None)
    numbers = [v for v in (found, wanted) if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) == 2 and abs(found - wanted) <= 1e-6 * max(abs(found), abs(wanted)):
        return None
    if len(numbers) == 1 and isinstance(numbers[0], int) and str(found) == str(wanted):
        return None
    return None if found == wanted and type(found) is type(wanted) else f"{at}: found {str(found)[:80]}, expected {str(wanted)[:80]}"


def read(program, path):
    """The rows of a file, or the message that refuses it."""
    out = subprocess.run([program, "--records", path], capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    error = next((line["error"] for line in lines if "error" in line), None)
    return error or [line["record"] for line in lines]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--refused", type=int, default=2)
    a = p.parse_args()
    equal = refused = wrong = 0
    for path in sorted(a.folder.glob("*/*.parquet")):
        beside = path.with_suffix(".json")
        if beside.exists():
            wanted = json.loads(beside.read_text())
        else:
            beside = path.with_name(path.stem.rsplit("-", 1)[0] + ".expected.jsonl")
            wanted = [json.loads(line) for line in beside.read_text().splitlines()]
        found = read(a.program, path)
        if isinstance(found, str):
            refused += 1
            print(f"refused: {found}")
            continue
        if wanted and isinstance(wanted[0], list):
            found = [list(row.values()) for row in found]
            wanted = [{str(i): v for i, v in enumerate(row)} for row in wanted]
            found = [{str(i): v for i, v in enumerate(row)} for row in found]
        at = f"{len(found)} rows, expected {len(wanted)}" if len(found) != len(wanted) else differ(plain(found), plain(wanted))
        wrong += bool(at)
        equal += not at
        if at:
            print(f"{path.name}{at}")
    print(f"{equal} files equal, {wrong} different, {refused} refused")
    sys.exit(bool(wrong) or refused > a.refused)


if __name__ == "__main__":
    main()
