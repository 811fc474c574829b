"""Writes tests/golden/arrow: small Arrow IPC files and, as X.jsonl beside them, the rows that have to be read from them.

types.*       a column of every type that is read, as stream and as random-access file, plain and packed, V4 and V5;
              what each value has to become stands here beside it, in the spelling that DuckDB gives rows of Parquet
nested.*      lists, structs and maps inside of each other, several batches (one empty), slices whose offsets do not begin at 0
dictionary.*  columns of indices: with parts that come later (deltas), with dictionaries that are replaced, nested ones
views.*       text in views, short and long, with several buffers
refused/      one file for each type that is refused
dialogues/    a DatasetDict as datasets.save_to_disk writes it: train in two shards, test in one

Usage: make_arrow.py OUT_DIR
Needs pyarrow and datasets (requirements.txt).
"""
import datetime as dt
import decimal
import json
import pathlib
import random
import shutil
import sys

import datasets
import numpy as np
import pyarrow as pa
from pyarrow import ipc

SEED = 20
D = decimal.Decimal


def ticks(values, kind):
    """Whole numbers as times of any range, which Python's own cannot hold."""
    width = pa.int32() if kind in (pa.time32("s"), pa.time32("ms"), pa.date32()) else pa.int64()
    return pa.array(values, width).cast(kind)


class Tagged(pa.ExtensionType):
    """An extension type: read as what it is stored as."""

    def __init__(self):
        super().__init__(pa.string(), "starchat.tagged")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


NAN = float("nan")
# name, values as Arrow, values as JSON
TYPES = [
    ("null", pa.nulls(3), [None] * 3),
    ("bool", pa.array([True, False, None]), [True, False, None]),
    ("int8", pa.array([-128, 127, None], pa.int8()), [-128, 127, None]),
    ("int16", pa.array([-32768, 32767, None], pa.int16()), [-32768, 32767, None]),
    ("int32", pa.array([-(2**31), 2**31 - 1, None], pa.int32()), [-(2**31), 2**31 - 1, None]),
    ("int64", pa.array([-(2**63), 2**63 - 1, None]), [-(2**63), 2**63 - 1, None]),
    ("uint8", pa.array([0, 255, None], pa.uint8()), [0, 255, None]),
    ("uint16", pa.array([0, 65535, None], pa.uint16()), [0, 65535, None]),
    ("uint32", pa.array([0, 2**32 - 1, None], pa.uint32()), [0, 2**32 - 1, None]),
    ("uint64", pa.array([0, 2**64 - 1, None], pa.uint64()), [0, 2**64 - 1, None]),
    ("half", pa.array(np.array([-1.5, 6e-8, np.inf], np.float16)), [-1.5, 5.960464477539063e-08, None]),
    ("float", pa.array([0.1, 16777216.0, None], pa.float32()), [0.10000000149011612, 16777216.0, None]),
    ("double", pa.array([0.1, 1e300, NAN]), [0.1, 1e300, None]),
    ("whole", pa.array([3.0, -0.0, 1e20]), [3.0, -0.0, 1e20]),
    ("string", pa.array(['a"\\\n\t\x01/', "é\U0001f600", None]), ['a"\\\n\t\x01/', "é\U0001f600", None]),
    ("large_string", pa.array(["", "x", None], pa.large_string()), ["", "x", None]),
    ("binary", pa.array([b"text", b"", None]), ["text", "", None]),
    ("large_binary", pa.array([b"text", b"", None], pa.large_binary()), ["text", "", None]),
    ("fixed", pa.array([b"abc", b"\xc3\xa9c", None], pa.binary(3)), ["abc", "éc", None]),
    ("date32", ticks([0, 18263, -800000], pa.date32()), ["1970-01-01", "2020-01-02", "0222-09-04 (BC)"]),
    ("date64", pa.array([dt.date(2020, 2, 29), dt.date(1, 1, 1), None], pa.date64()), ["2020-02-29", "0001-01-01", None]),
    ("time_s", ticks([0, 86399, None], pa.time32("s")), ["00:00:00", "23:59:59", None]),
    ("time_ms", ticks([1001, 86399990, None], pa.time32("ms")), ["00:00:01.001", "23:59:59.99", None]),
    ("time_us", ticks([1, 86399999999, None], pa.time64("us")), ["00:00:00.000001", "23:59:59.999999", None]),
    ("time_ns", ticks([1, 1000000000, None], pa.time64("ns")), ["00:00:00.000000001", "00:00:01", None]),
    ("timestamp_s", ticks([-1, 1577934245, -62293708801], pa.timestamp("s")), ["1969-12-31 23:59:59", "2020-01-02 03:04:05", "0006-12-28 (BC) 23:59:59"]),
    ("timestamp_ms", ticks([-1, 1577934245120, None], pa.timestamp("ms")), ["1969-12-31 23:59:59.999", "2020-01-02 03:04:05.12", None]),
    ("timestamp_us", ticks([-1, 1577934245000001, None], pa.timestamp("us", "Europe/Berlin")), ["1969-12-31 23:59:59.999999+00", "2020-01-02 03:04:05.000001+00", None]),
    ("timestamp_ns", ticks([-(2**63), 2**63 - 1, None], pa.timestamp("ns", "UTC")), ["1677-09-21 00:12:43.145224192+00", "2262-04-11 23:47:16.854775807+00", None]),
    ("duration", pa.array([5, -5, None], pa.duration("s")), [5, -5, None]),
    ("decimal", pa.array([D("1.50"), D("-0.05"), None], pa.decimal128(10, 2)), [1.5, -0.05, None]),
    ("decimal_whole", pa.array([D(150), D(0), None], pa.decimal128(10, 0)), [150.0, 0.0, None]),
    ("decimal_up", pa.array([D("12E+3"), D(0), None], pa.decimal128(5, -3)), [12000.0, 0.0, None]),
    ("decimal_small", pa.array([D("-1.5"), D("0.1"), None], pa.decimal32(4, 1)), [-1.5, 0.1, None]),
    ("extension", pa.ExtensionArray.from_storage(Tagged(), pa.array(["a", "b", None])), ["a", "b", None]),
]

LONG = "a text that is longer than twelve bytes, number "


def rows_of(columns):
    return [dict(zip([c[0] for c in columns], values)) for values in zip(*[c[2] for c in columns])]


def nested():
    """A table of three parts, and its rows."""
    rows = [
        {
            "messages": None if i == 4 else [{"role": "user" if k % 2 == 0 else "assistant", "content": f"{i}.{k}"} for k in range(i % 3)],
            "large": [None, i] if i % 2 else [],
            "pair": None if i == 2 else [i, i + 1],
            "tags": {"a": i, "b": None} if i % 2 else {},
            "numbers": {str(i): [i]},
            "deep": {"x": {"y": [[i], None, []]}, "none": None},
        }
        for i in range(9)
    ]
    kind = pa.schema(
        [
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("large", pa.large_list(pa.int64())),
            ("pair", pa.list_(pa.int16(), 2)),
            ("tags", pa.map_(pa.string(), pa.int32())),
            ("numbers", pa.map_(pa.int32(), pa.list_(pa.int8()))),
            ("deep", pa.struct([("x", pa.struct([("y", pa.list_(pa.list_(pa.uint8())))])), ("none", pa.null())])),
        ]
    )
    arrow = [dict(r, tags=list(r["tags"].items()), numbers=[(int(k), v) for k, v in r["numbers"].items()]) for r in rows]
    table = pa.Table.from_pylist(arrow, kind)
    parts = [table.slice(1, 3), table.slice(0, 0), table.slice(4, 5)]
    return kind, [b for p in parts for b in (p.combine_chunks().to_batches() or [pa.record_batch([c.combine_chunks() for c in p.columns], schema=kind)])], rows[1:9]


def dictionaries():
    """Batches whose dictionaries grow, or are replaced where `grow` is false."""
    def batch(words, indices, inner):
        word = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(words))
        lists = pa.array([[w] for w in words], pa.list_(pa.string()))
        nest = pa.DictionaryArray.from_arrays(pa.array([i if i is not None else 0 for i in indices], pa.uint16()), lists)
        within = pa.ListArray.from_arrays(pa.array(range(len(indices) + 1), pa.int32()), pa.DictionaryArray.from_arrays(pa.array(inner, pa.int32()), pa.array(words)))
        return pa.record_batch([word, nest, within], names=["word", "nest", "within"])

    def rows(words, indices, inner):
        return [{"word": None if i is None else words[i], "nest": [words[i or 0]], "within": [words[k]]} for i, k in zip(indices, inner)]

    grown = [(["a", "b"], [0, 1, None], [1, 1, 0]), (["a", "b", "c", LONG], [3, 0], [2, 3])]
    other = [(["a", "b"], [0, 1], [1, 0]), (["x"], [0, None], [0, 0]), (["y", None], [1, 0], [0, 1])]
    return {name: ([batch(*b) for b in parts], [r for b in parts for r in rows(*b)]) for name, parts in {"dictionary_delta": grown, "dictionary_replaced": other}.items()}


def write(out, name, schema, batches, rows, how="stream", **options):
    opened = ipc.new_stream if how == "stream" else ipc.new_file
    with opened(str(out / name), schema, options=ipc.IpcWriteOptions(**options)) as w:
        for b in batches:
            w.write_batch(b)
    lines = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows)
    (out / name.split(".")[0]).with_suffix(".jsonl").write_text(lines)


def refused(out):
    """One column each that cannot be read."""
    union = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
    columns = {
        "union": union,
        "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        "run_end": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"])),
        "list_view": pa.array([[1], [2]], pa.list_view(pa.int8())),
        "decimal256": pa.array([D(1)], pa.decimal256(60, 0)),
        "twice": None,
        "key": pa.array([[([1], 2)]], pa.map_(pa.list_(pa.int8()), pa.int8())),
    }
    for name, column in columns.items():
        batch = pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "a"]) if column is None else pa.record_batch([pa.array([{"in": v} for v in [0] * len(column)]), column], names=["s", "here"])
        with ipc.new_stream(str(out / f"{name}.arrow"), batch.schema) as w:
            w.write_batch(batch)


def dialogues(out):
    r = random.Random(SEED)

    def row(i):
        return {"prompt_id": f"p{i}", "messages": [{"role": "user", "content": f"question {i} {r.randrange(100)}"}, {"role": "assistant", "content": f"answer {i}"}]}

    train, test = ([row(i) for i in range(*span)] for span in ((0, 7), (7, 9)))
    sets = datasets.DatasetDict(train=datasets.Dataset.from_list(train), test=datasets.Dataset.from_list(test))
    for name, part in sets.items():
        part._fingerprint = name                          # else a random one stands in state.json
    sets.save_to_disk(str(out), num_shards={"train": 2, "test": 1})
    (out.parent / "dialogues.jsonl").write_text("".join(json.dumps(x, separators=(",", ":")) + "\n" for x in test + train))


def main():
    out = pathlib.Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    (out / "refused").mkdir(parents=True)
    table = pa.table({name: values for name, values, _ in TYPES})
    batches, rows = table.to_batches(), rows_of(TYPES)
    write(out, "types.arrow", table.schema, batches, rows)
    write(out, "types.file.arrow", table.schema, batches, rows, "file")
    write(out, "types.v4.arrow", table.schema, batches, rows, metadata_version=ipc.MetadataVersion.V4, use_legacy_format=True)
    write(out, "types.lz4.arrow", table.schema, batches, rows, "file", compression="lz4")
    write(out, "types.zstd.arrow", table.schema, batches, rows, compression="zstd")
    kind, batches, rows = nested()
    write(out, "nested.arrow", kind, batches, rows)
    write(out, "nested.file.arrow", kind, batches, rows, "file")
    for name, (batches, rows) in dictionaries().items():
        write(out, f"{name}.arrow", batches[0].schema, batches, rows, emit_dictionary_deltas=name == "dictionary_delta")
    texts = [None, "", "twelve bytes", "thirteen byte"] + [LONG + str(i) for i in range(2000, 2004)]
    views = [pa.record_batch([pa.array(texts, pa.string_view()), pa.array([t and t.encode() for t in texts], pa.binary_view())], names=["text", "bytes"])]
    write(out, "views.arrow", views[0].schema, views, [{"text": t, "bytes": t} for t in texts])
    refused(out / "refused")
    dialogues(out / "dialogues")
    (out / ".origin").write_text(f"script: tools/oracle/make_arrow.py\npyarrow: {pa.__version__}\ndatasets: {datasets.__version__}\nnumpy: {np.__version__}\nseed: {SEED}\n")


if __name__ == "__main__":
    main()
