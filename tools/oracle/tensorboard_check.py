"""Reads a directory of event files with TensorBoard's own reader and prints JSON: {"tags": {TAG: {"steps": [...],
"values": [...], "wall_times": [...]}}, "files": N}. Fails if a record's checksum is wrong or nothing is found.

Usage: tensorboard_check.py DIR [--run]      (--run: search below DIR, as TensorBoard does)
Made with: tensorboard 2.21.0 (requirements.txt).
"""
import json
import os
import sys

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event


def event_files(root, deep):
    for folder, folders, names in os.walk(root):
        if not deep:
            folders.clear()
        yield from sorted(os.path.join(folder, n) for n in names if ".tfevents." in n)


def read(path):
    """Every event of a file; RawEventFileLoader checks both checksums of a record and stops at a damaged one."""
    events, size = [], 0
    for record in RawEventFileLoader(path).Load():
        events.append(Event.FromString(record))
        size += len(record) + 16
    if size != os.path.getsize(path):
        raise SystemExit(f"{path}: {os.path.getsize(path) - size} bytes behind the last good record")
    if not events or events[0].file_version != "brain.Event:2":
        raise SystemExit(f"{path}: the first record is not brain.Event:2")
    return events


def main():
    files, tags = list(event_files(sys.argv[1], "--run" in sys.argv)), {}
    for path in files:
        for event in read(path):
            for value in event.summary.value:
                tag = tags.setdefault(value.tag, {"steps": [], "values": [], "wall_times": []})
                tag["steps"].append(event.step)
                tag["values"].append(value.simple_value if value.HasField("simple_value") else value.tensor.float_val[0])
                tag["wall_times"].append(event.wall_time)
    if not tags:
        raise SystemExit(f"{sys.argv[1]}: no event file with a scalar")
    print(json.dumps({"tags": tags, "files": len(files)}))


if __name__ == "__main__":
    main()
