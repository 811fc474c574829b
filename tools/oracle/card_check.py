"""Whether a card's header is what the Hub takes, read by huggingface_hub itself (1.x; ModelCard, ModelCardData, EvalResult) where it is installed, else by the small reader below, which knows the YAML that
`starchat card` writes. Nothing is asked over the net.

Run: python3 tools/oracle/card_check.py README.md...                  prints what was read; exit 1 and a sentence for a card that is refused
     python3 tools/oracle/card_check.py --golden README.md OUT.json    what huggingface_hub reads of it, for tests/golden/card"""
import json
import pathlib
import re
import sys

RELATIONS = ("adapter", "merge", "quantized", "finetune")


def scalar(text):
    if text.startswith('"'):
        return json.loads(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def block(lines, indent):
    """Maps, lists of maps, lists of scalars: what the program writes and no more."""
    if lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        out = []
        while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
            text = lines[0][1][2:]
            if re.match(r'[a-z_-]+:( |$)', text):
                lines[0] = (indent + 2, text)
                out.append(block(lines, indent + 2))
            else:
                out.append(scalar(text))
                lines.pop(0)
        return out
    out = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        key, value = re.match(r'([a-z_-]+):\s*(.*)$', lines.pop(0)[1]).groups()
        assert key not in out, f"{key} stands there twice"
        out[key] = scalar(value) if value else block(lines, lines[0][0])
    return out


def header_of(text):
    """The header as a value; strings are the JSON strings that the program writes."""
    match = re.match(r"---\n(.*?)\n---\n", text, re.S)
    assert match, "no header between two lines of ---"
    lines = [(len(line) - len(line.lstrip(" ")), line.lstrip(" ")) for line in match[1].split("\n")]
    out = block(lines, 0)
    assert not lines, f"left over: {lines[:2]}"
    return out


def read_by_hub(text):
    import huggingface_hub
    from huggingface_hub import ModelCard
    card = ModelCard(text)
    data = card.data.to_dict()
    results = [{"dataset": r.dataset_name, "type": r.metric_type, "name": r.metric_name, "value": r.metric_value} for r in card.data.eval_results or []]
    return {"huggingface_hub": huggingface_hub.__version__, "data": {k: v for k, v in data.items() if k != "model-index"}, "model_name": card.data.model_name, "results": results, "has_text": len(card.text) > 1000}


def check(text):
    header = header_of(text)
    assert header.get("base_model_relation", "finetune") in RELATIONS, header
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", d) for d in header.get("datasets", [])), header
    assert header["pipeline_tag"] == "text-generation" and header["tags"], header
    try:
        found = read_by_hub(text)
    except ImportError:
        return None
    metrics = [m for r in (header["model-index"][0]["results"] if "model-index" in header else []) for m in r["metrics"]]
    assert len(found["results"]) == len(metrics), (found["results"], metrics)
    for key in ("license", "base_model", "library_name", "language", "tags"):
        if key in header:
            assert found["data"][key] == header[key], (key, found["data"], header)
    return found


if __name__ == "__main__":
    golden = sys.argv[1] == "--golden"
    for name in sys.argv[2:3] if golden else sys.argv[1:]:
        found = check(pathlib.Path(name).read_text(encoding="utf-8"))
        print(json.dumps(found, indent=1) if found else "huggingface_hub is not installed; read by the small reader alone")
    if golden:
        pathlib.Path(sys.argv[3]).write_text(json.dumps(found, indent=1) + "\n")
