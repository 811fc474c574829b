"""Draws texts from schemas with build/bench_grammar and lets Python's jsonschema judge them.

Usage: python3 tools/oracle/grammar_check.py [TOKENIZER [N]]   (make build/bench_grammar first; needs jsonschema)
"""
import json
import math
import subprocess
import sys
import tempfile

import jsonschema

STRING, INT = {"type": "string"}, {"type": "integer"}
SCHEMAS = {
    "person": {"type": "object", "properties": {"name": STRING, "age": {"type": "integer", "minimum": 0, "maximum": 150}, "mail": {"type": ["string", "null"], "format": "email"}},
               "required": ["name", "age"], "additionalProperties": False},
    "free": {"type": "object"}, "any": True, "list": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 4},
    "tuple": {"type": "array", "prefixItems": [INT, STRING, {"type": "boolean"}], "items": False},
    "tuple and more": {"type": "array", "prefixItems": [INT], "items": STRING, "minItems": 3},
    "lengths": {"type": "string", "minLength": 3, "maxLength": 12},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2,4}-\\d{3}(?:[a-z]|\\\\|\")?$"}, "pattern inside": {"type": "string", "pattern": "ab+c|x$"},
    "numbers": {"type": "array", "items": {"type": "number", "minimum": -2.5, "exclusiveMaximum": 17.125}, "minItems": 3, "maxItems": 6},
    "open numbers": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 3, "maxItems": 6},
    "tight numbers": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}, "minItems": 3, "maxItems": 6},
    "large numbers": {"type": "array", "items": {"type": "number", "minimum": 1000.1, "maximum": 123456789.25}, "minItems": 3, "maxItems": 6},
    "integers": {"type": "array", "items": {"type": "integer", "minimum": -1234, "exclusiveMaximum": 98765}, "minItems": 3, "maxItems": 6},
    "values": {"type": "array", "items": {"enum": ["a\"b", 1, 2.5, None, True, {"x": [1, "y"]}, "ä\n"]}, "minItems": 2},
    "union": {"anyOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": INT}, "required": ["kind", "x"]}, {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}, STRING]},
    "optional": {"type": "object", "properties": {k: INT for k in "abcdefg"}, "required": ["d"], "additionalProperties": False},
    "additional": {"type": "object", "properties": {"ab": INT, "abc": INT, "ä": INT}, "additionalProperties": {"type": "string", "maxLength": 4}},
    "merged": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]}, {"properties": {"a": {"maximum": 50}, "b": STRING}, "required": ["b"]}]},
    "merged ways": {"type": "object", "properties": {"a": INT, "b": STRING}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "additionalProperties": False},
    "tree": {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"v": INT, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}}, "required": ["v"], "additionalProperties": False}}},
    "self": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"], "additionalProperties": False},
} | {"format " + f: {"type": "array", "items": {"type": "string", "format": f}, "minItems": 1, "maxItems": 3} for f in ("date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri")}


def reject(name):
    raise ValueError(name)


def unique(pairs):
    keys = [k for k, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key twice in {keys}")
    return dict(pairs)


def check(name, schema, tokenizer, n):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(schema, f)
        f.flush()
        out = subprocess.run(["build/bench_grammar", tokenizer, f.name, str(n)], capture_output=True, text=True, check=False)
    if out.returncode:
        return f"{name}: {out.stderr.strip()}"
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    lines = out.stdout.split("\n")[:-1]     # splitlines would cut at U+2028 too
    free = name in ("free", "any")
    for line in lines:
        text = json.loads(line)
        try:
            value = json.loads(text, parse_constant=reject, object_pairs_hook=None if free else unique)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("not finite")
            validator.validate(value)
        except (ValueError, jsonschema.ValidationError) as e:
            return f"{name}: {text!r}: {str(e).splitlines()[0]}"
    if len(lines) < n // (20 if name == "pattern inside" else 2):      # texts without an anchor rarely come to what they must hold
        return f"{name}: only {len(lines)} of {n} texts came to an end"
    print(f"ok     {name}: {len(lines)} texts, for example {json.loads(lines[0])[:70]!r}")
    return None


def main():
    tokenizer = sys.argv[1] if len(sys.argv) > 1 else "../shared/data/tokenizers/starcoder/tokenizer.json"
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    bad = [e for name, schema in SCHEMAS.items() if (e := check(name, schema, tokenizer, n))]
    for e in bad:
        print("FAILED", e)
    sys.exit(bool(bad))


main()
