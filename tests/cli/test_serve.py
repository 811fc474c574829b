#!/usr/bin/env python3
"""`starchat serve` from outside: every address and field of docs/serving.md, what is refused and how, streams, keys, cancels, the end, logs
and figures. The models are tiny random ones, which write broken UTF-8 all the time; smollm2 is used where it is in the store.
Usage: tests/cli/test_serve.py PROGRAM [TEST...]     Last line: "N passed, N failed"."""

import base64
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-serve-"))
SLOWER = 10 if os.environ.get("STARCHAT_SANITIZED") else 1
HELLO = [{"role": "user", "content": "Hello, näh?"}]
SECRET = "violet-hippopotamus"                  # in prompts; must never be in a log
MAIN = None                                     # the server most tests ask


class Skipped(Exception):
    pass


def serve(model="tiny", *options, **more):
    return served.Server(PROGRAM, SCRATCH / model if (SCRATCH / model).exists() else model, *options, home=SCRATCH, **more)


def run(*args, text=None):
    return subprocess.run([PROGRAM, *map(str, args)], input=text, capture_output=True, text=True, env=served.environment(SCRATCH), timeout=120 * SLOWER)


def refused(answer, status, *parts, param=None, code=None, kind=None):
    """OpenAI's error with its four keys."""
    assert answer.status == status, (status, answer)
    error = answer.json["error"]
    assert list(answer.json) == ["error"] and list(error)[:4] == ["message", "type", "param", "code"], error
    assert all(part in error["message"] for part in parts), (parts, error)
    assert (param is None or error["param"] == param) and (code is None or error["code"] == code) and (kind is None or error["type"] == kind), error
    return error


def text_of(events):
    return "".join(c.get("text", "") or c.get("delta", {}).get("content", "") or "" for e in events if e != "[DONE]" for c in e["choices"])


def set_up():
    global MAIN
    served.make_model(PROGRAM, SCRATCH, "tiny")
    served.make_model(PROGRAM, SCRATCH, "plain", has_fim=False)
    served.make_adapter(SCRATCH / "tuned", 3)
    (SCRATCH / "keys").write_text(f"# ours\nfirst-key-0123456789 ann\nsha256:{hashlib.sha256(b'second-key-0123456789').hexdigest()} bob\n")
    (SCRATCH / "keys").chmod(0o600)
    MAIN = serve("tiny", "--name", "tiny", "--alias", "gpt-4,other", "--adapters", f"tuned={SCRATCH / 'tuned'}", "--template", "chatml", "--parallel", "8", "--context", "1024", "--log-level", "debug",
                 "--allowed-origins", "https://friend.example", "--activations", "f32")


# ---- what there is --------------------------------------------------------------------------------------------------------


def test_health_and_models():
    for path in ("/health", "/v1/health", "/healthz", "/readyz", "/ping"):
        assert MAIN.get(path).json == {"status": "ok"}, path
    head = MAIN.ask("HEAD", "/health")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == "15"
    models = MAIN.get("/v1/models").json
    assert models["object"] == "list" and [m["id"] for m in models["data"]] == ["tiny", "tuned"]
    first = models["data"][0]
    assert first["object"] == "model" and first["owned_by"] == "starchat" and isinstance(first["created"], int) and first["max_model_len"] == 1024
    assert first["meta"]["n_ctx"] == 1024 and first["meta"]["n_ctx_train"] == 16384 and first["meta"]["n_embd"] == 32 and first["meta"]["n_vocab"] == 272
    assert models["data"][1]["parent"] == "tiny" and MAIN.get("/models").json == models
    assert MAIN.get("/v1/models/tuned").json == models["data"][1] and MAIN.get("/v1/models/%74une%64").json == models["data"][1]
    assert MAIN.get("/v1/models/gpt-4").json["id"] == "tiny"
    refused(MAIN.get("/v1/models/none"), 404, '"none"', "tiny, tuned", code="model_not_found", param="model")
    refused(MAIN.get("/v1/models/%zz"), 404, code="model_not_found")
    props = MAIN.get("/props").json
    assert props["total_slots"] == 8 and props["default_generation_settings"]["n_ctx"] == 1024 and "<|im_start|>" in props["chat_template"]
    slots = MAIN.get("/slots").json
    assert len(slots) == 8 and all(set(s) == {"id", "is_processing", "n_ctx"} for s in slots)
    assert MAIN.get("/info").json["max_total_tokens"] == 1024
    assert MAIN.get("/api/version").json["version"]


def test_addresses_that_are_not_there():
    refused(MAIN.get("/v1/none"), 404, "/v1/none", code="not_found", kind="invalid_request_error")
    refused(MAIN.get("/v1/models/../../etc/passwd"), 404)
    refused(MAIN.get("/%2e%2e/%2e%2e/etc/passwd"), 404)
    wrong = MAIN.get("/v1/chat/completions")
    refused(wrong, 405, "GET")
    assert wrong.headers["Allow"] == "POST"
    assert MAIN.post("/health", {}).headers["Allow"] == "GET, HEAD"
    refused(MAIN.ask("DELETE", "/v1/models/tiny"), 405)
    long = MAIN.get("/" + "a" * 9000)
    refused(long, 414)
    refused(MAIN.get("/health", X="a" * 17000), 431)


# ---- chat -------------------------------------------------------------------------------------------------------------------


def test_chat_shapes():
    a = MAIN.good("/v1/chat/completions", model="tiny", messages=HELLO, max_tokens=5, seed=3, ignore_eos=True)
    assert a["id"].startswith("chatcmpl-") and a["object"] == "chat.completion" and a["model"] == "tiny" and abs(a["created"] - time.time()) < 60 and a["system_fingerprint"].startswith("fp_")
    choice = a["choices"][0]
    assert choice["index"] == 0 and choice["message"]["role"] == "assistant" and choice["message"]["content"] and choice["message"]["refusal"] is None and choice["logprobs"] is None and choice["finish_reason"] == "length"
    u = a["usage"]
    assert u["completion_tokens"] == 5 and u["total_tokens"] == u["prompt_tokens"] + 5 and u["prompt_tokens_details"]["cached_tokens"] <= u["prompt_tokens"]
    t = a["timings"]
    assert t["cache_n"] + t["prompt_n"] == u["prompt_tokens"] and t["predicted_n"] == 5
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "näh?"}]}]
    assert MAIN.good("/chat/completions", messages=parts, max_tokens=5, seed=3, ignore_eos=True)["choices"] == a["choices"]
    assert MAIN.good("/v1/chat/completions", model="other", messages=HELLO, max_completion_tokens=5, seed=3, ignore_eos=True)["choices"] == a["choices"]
    assert MAIN.good("/v1/chat/completions", model="tuned", messages=HELLO, max_tokens=5, seed=3, ignore_eos=True)["choices"] != a["choices"]
    assert MAIN.good("/v1/chat/completions", model="tiny:latest", messages=HELLO, max_tokens=5, seed=3, ignore_eos=True, nobody_knows_this=[1])["choices"] == a["choices"]


def test_chat_stream():
    for usage in (False, True):
        body = {"messages": HELLO, "max_tokens": 60, "seed": 5, "ignore_eos": True}
        whole = MAIN.good("/v1/chat/completions", **body)
        events = MAIN.stream("/v1/chat/completions", **body, **({"stream_options": {"include_usage": True}} if usage else {}))
        assert events[-1] == "[DONE]" and "[DONE]" not in events[:-1]
        chunks = events[:-1]
        assert len({(c["id"], c["created"], c["model"], c["object"]) for c in chunks}) == 1 and chunks[0]["object"] == "chat.completion.chunk"
        if usage:
            last = chunks.pop()
            assert last["choices"] == [] and last["usage"]["completion_tokens"] == 60 and last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 60
        assert all(("usage" in c) == usage and c.get("usage") is None for c in chunks)
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""} and all("role" not in c["choices"][0]["delta"] for c in chunks[1:])
        assert chunks[-1]["choices"][0]["delta"] == {} and [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["length"]
        assert text_of(chunks) == whole["choices"][0]["message"]["content"]
    answer = MAIN.post("/v1/chat/completions", {"messages": HELLO, "max_tokens": 2, "stream": True})
    assert answer.headers["X-Accel-Buffering"] == "no" and answer.headers["Cache-Control"] == "no-store" and answer.headers["Transfer-Encoding"] == "chunked"


def test_streams_hold_whole_characters():
    """Over many seeds, at temperatures that give every byte: events are strict UTF-8 (events_of decodes so), and equal the whole answer."""
    broken = 0
    for seed in range(30):
        body = {"prompt": "é", "max_tokens": 40, "seed": seed, "temperature": 2, "ignore_eos": True}
        whole = MAIN.good("/v1/completions", **body)["choices"][0]["text"]
        assert text_of(MAIN.stream("/v1/completions", **body)) == whole
        broken += "\ufffd" in whole
    assert broken > 10                           # else this test shows nothing


def test_several_answers():
    one = [MAIN.good("/v1/completions", prompt="ab", max_tokens=12, seed=40 + i, ignore_eos=True)["choices"][0]["text"] for i in range(3)]
    a = MAIN.good("/v1/completions", prompt="ab", max_tokens=12, seed=40, n=3, ignore_eos=True)
    assert [c["text"] for c in a["choices"]] == one and [c["index"] for c in a["choices"]] == [0, 1, 2] and a["usage"]["completion_tokens"] == 36
    events = MAIN.stream("/v1/completions", prompt="ab", max_tokens=12, seed=40, n=3, ignore_eos=True)
    for i in range(3):
        assert "".join(c["text"] for e in events[:-1] for c in e["choices"] if c["index"] == i) == one[i]
    best = MAIN.good("/v1/completions", prompt="ab", max_tokens=12, seed=40, n=1, best_of=3, ignore_eos=True, logprobs=0)
    sums = [sum(MAIN.good("/v1/completions", prompt="ab", max_tokens=12, seed=40 + i, ignore_eos=True, logprobs=0)["choices"][0]["logprobs"]["token_logprobs"]) for i in range(3)]
    assert len(best["choices"]) == 1 and best["choices"][0]["text"] == one[sums.index(max(sums))] and best["usage"]["completion_tokens"] == 36
    prompts = MAIN.good("/v1/completions", prompt=["ab", "cd"], max_tokens=4, seed=1, n=2, ignore_eos=True)
    assert [c["index"] for c in prompts["choices"]] == [0, 1, 2, 3] and prompts["usage"]["completion_tokens"] == 16
    alone = MAIN.good("/v1/completions", prompt="cd", max_tokens=4, seed=1, n=2, ignore_eos=True)
    assert [c["text"] for c in prompts["choices"][2:]] == [c["text"] for c in alone["choices"]]
    refused(MAIN.post("/v1/completions", {"prompt": "a", "best_of": 2, "stream": True}), 400, param="best_of")
    refused(MAIN.post("/v1/completions", {"prompt": "a", "n": 3, "best_of": 2}), 400, "2", "3", param="best_of")
    refused(MAIN.post("/v1/completions", {"prompt": "a", "n": 9}), 400, "9", "8", param="n")


def test_same_seed_same_bytes():
    body = {"messages": HELLO, "max_tokens": 50, "temperature": 1.3, "ignore_eos": True}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: MAIN.good("/v1/chat/completions", **body, seed=i % 2)["choices"][0]["message"]["content"], range(24)))
    assert len(set(answers[::2])) == 1 and len(set(answers[1::2])) == 1 and answers[0] != answers[1]
    assert len({MAIN.good("/v1/chat/completions", **body)["choices"][0]["message"]["content"] for _ in range(4)}) == 4           # without a seed: others each time
    assert MAIN.good("/v1/chat/completions", **body, seed=0, cache_prompt=False)["choices"][0]["message"]["content"] == answers[0]


def test_greedy_is_what_complete_says():
    for prompt in ("Hello", "def f(x):\n", "é"):
        expected = json.loads(run("complete", SCRATCH / "tiny", "-p", prompt, "-n", "30", "--temperature", "0", "--activations", "f32", "--json").stdout)
        a = MAIN.good("/completion", prompt=prompt, n_predict=30, temperature=0)
        assert a["content"] == expected["text"] and a["tokens"] == expected["ids"][:len(a["tokens"])], (expected, a)


# ---- fields --------------------------------------------------------------------------------------------------------------------


BAD = [("temperature", -0.1, "0 to 2"), ("temperature", 2.1, "2.1"), ("temperature", "x", "number"), ("top_p", 1.5, "1.5"), ("top_p", -1, "-1"), ("min_p", 2, "0 to 1"), ("n", 0, "1 to 128"), ("n", 129, "129"),
       ("n", 1.5, "1.5"), ("n", "2", "whole number"), ("n", [1], "[1]"), ("frequency_penalty", 2.5, "-2 to 2"), ("presence_penalty", -3, "-3"), ("repeat_penalty", 0, "0"), ("best_of", 21, "0 to 20"), ("seed", 1e30, "seed"),
       ("seed", 1.5, "1.5"), ("max_tokens", -3, "-3"), ("max_tokens", 1 << 40, "max_tokens"), ("max_tokens", True, "true"), ("top_k", -2, "-2"), ("stream", "yes", "stream"), ("stream", 1, "stream"), ("echo", 0, "echo"),
       ("logprobs", 21, "21"), ("logprobs", "a", "logprobs"), ("top_logprobs", 3, "logprobs is not true"), ("top_logprobs", 21, "0 to 20"), ("stop", ["a"] * 17, "17"), ("stop", 3, "stop"), ("stop", [3], "stop"),
       ("stop", "a" * 1025, "1025"), ("logit_bias", {"x": 1}, '"x"'), ("logit_bias", {"1": 101}, "-100 to 100"), ("logit_bias", {"272": 1}, "271"), ("logit_bias", {"-1": 1}, "271"), ("logit_bias", [1], "pair"), ("logit_bias", 3, "logit_bias"),
       ("stop_token_ids", [272], "271"), ("stop_token_ids", [-1], "271"), ("stop_token_ids", 5, "stop_token_ids"), ("allowed_token_ids", ["a"], "271"), ("bad_words", ["ab cd"], "more than one token"), ("bad_words", [1], "bad_words"),
       ("mirostat", 2, "not supported"), ("dry_multiplier", 0.8, "not supported"), ("xtc_probability", 0.5, "not supported"), ("use_beam_search", True, "not supported"), ("response_format", {"type": "xml"}, "xml"), ("response_format", {}, "type"),
       ("response_format", {"type": "json_schema"}, "json_schema"), ("grammar", 'root ::= "a', "grammar"), ("grammar", 3, "grammar"), ("json_schema", {"type": "frog"}, "frog"), ("prediction", {"content": 3}, "prediction"), ("speculate", 1000, "speculate"),
       ("t_max_predict_ms", -1, "t_max_predict_ms"), ("min_tokens", -1, "min_tokens"), ("model", 3, "model")]


def test_fields_out_of_bounds():
    for field, value, part in BAD:
        answer = MAIN.post("/v1/completions", {"prompt": "a", "max_tokens": 2, field: value})
        assert answer.status == 400, (field, value, answer)
        error = refused(answer, 400, part, kind="invalid_request_error")
        assert error["param"] in (field, "messages", "top_logprobs"), (field, value, error)
    for field in ("mirostat", "dry_multiplier", "use_beam_search"):
        MAIN.good("/v1/completions", prompt="a", max_tokens=1, **{field: 0})
    for field, _, _ in BAD:                      # a null counts as absent
        assert MAIN.post("/v1/completions", {"prompt": "a", "max_tokens": 2, field: None}).status == 200, field


def test_bodies_that_are_none():
    for body, part in ((b"", "not valid JSON"), (b"{", "not valid JSON"), (b"[]", "no JSON object"), (b'"a"', "no JSON object"), (b"\xff\xfe{}", "JSON"), (b'{"prompt":"a","prompt":"b"}', "JSON"),
                       (b'{"a":' * 70 + b"1" + b"}" * 70, "prompt"), (b"[" * 3000 + b"]" * 3000, "nested deeper"), (b'{"prompt":NaN}', "JSON"), (b'{"prompt":"a","n":99999999999999999999}', "expected a whole number"), (b'{"prompt":"\xe9"}', "JSON")):
        refused(MAIN.post("/v1/completions", body), 400, part)
    refused(MAIN.ask("POST", "/v1/completions", b'{"prompt":"a"}', {"Content-Type": "text/plain"}), 415, "Content-Type")
    refused(MAIN.ask("POST", "/v1/completions", b'{"prompt":"a"}', {"Content-Type": "application/json", "Content-Encoding": "gzip"}), 415)
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"):
        assert MAIN.ask("POST", "/v1/completions", b'{"prompt":"a","max_tokens":1}', {"Content-Type": kind}).status == 200, kind
    refused(MAIN.post("/v1/completions", b" " * (8 << 20) + b"{}"), 413, "larger")
    for body, param in (({}, "prompt"), ({"prompt": {}}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": [[]]}, "prompt"), ({"prompt": [1, "a"]}, "prompt"), ({"prompt": [272]}, "prompt"), ({"prompt": [1, -1]}, "prompt"), ({"prompt": [1.5]}, "prompt"),
                        ({"prompt": "a", "suffix": 3}, "suffix"), ({"prompt": ["a"], "suffix": "b"}, "prompt"), ({"prompt": ["a", 1]}, "prompt")):
        refused(MAIN.post("/v1/completions", body), 400, param=param)
    for messages in (None, [], {}, "a", [3], [{}], [{"role": "frog", "content": "a"}], [{"role": "user", "content": 3}], [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://a"}}]}],
                     [{"role": "é" * 50, "content": "a"}], [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "x" + "é" * 40}]}]):
        refused(MAIN.post("/v1/chat/completions", {"messages": messages}), 400, param="messages")
    refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "n": "é" * 100}), 400, param="n")


def test_empty_texts():
    """An empty prompt crashed another server; here it begins where texts begin."""
    assert MAIN.good("/v1/completions", prompt="", max_tokens=3, ignore_eos=True)["usage"]["completion_tokens"] == 3
    for content in ("", None, []):
        MAIN.good("/v1/chat/completions", messages=[{"role": "user", "content": content}], max_tokens=1)
    for limit in (0, 1):
        a = MAIN.good("/v1/completions", prompt="ab", max_tokens=limit, ignore_eos=True)
        assert a["usage"]["completion_tokens"] == limit and a["choices"][0]["finish_reason"] == "length"
    assert MAIN.good("/v1/completions", prompt="a\0b", max_tokens=1, echo=True)["choices"][0]["text"].startswith("a\0b")


def test_context_exceeded():
    for path, body in (("/v1/completions", {"prompt": "a" * 1024}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a" * 1100}]}), ("/completion", {"prompt": "a" * 5000}), ("/v1/embeddings", {"input": "a" * 2000})):
        error = refused(MAIN.post(path, body), 400, "1024", code="context_length_exceeded", kind="exceed_context_size_error")
        assert error["n_ctx"] == 1024 and error["n_prompt_tokens"] >= 1024
    a = MAIN.good("/v1/completions", prompt="a" * 1023, max_tokens=50, ignore_eos=True)
    assert a["usage"]["total_tokens"] == 1024 and a["choices"][0]["finish_reason"] == "length"
    a = MAIN.good("/v1/chat/completions", messages=HELLO, ignore_eos=True)             # no limit: to the end of the context
    assert a["usage"]["total_tokens"] == 1024


def test_models_by_name():
    error = refused(MAIN.post("/v1/chat/completions", {"model": "gpt-9", "messages": HELLO}), 404, '"gpt-9"', "tiny, tuned, gpt-4, other", code="model_not_found", param="model")
    assert error["type"] == "invalid_request_error"
    refused(MAIN.post("/v1/chat/completions", {"model": "é" * 300, "messages": HELLO}), 404)
    for name in ("tiny", "gpt-4", "", None):
        assert MAIN.good("/v1/completions", model=name, prompt="a", max_tokens=1)["model"] == "tiny"
    with serve("plain", "--name", "plain") as one:                                    # alone, a model answers to any name
        assert one.good("/v1/completions", model="gpt-3.5-turbo", prompt="a", max_tokens=1)["model"] == "plain"
        refused(one.post("/v1/completions", {"prompt": "a", "suffix": "b"}), 400, "fill-in-the-middle", code="no_infill", param="suffix")
        refused(one.post("/infill", {"input_prefix": "a", "input_suffix": "b"}), 400, code="no_infill")
        refused(one.post("/v1/fim/completions", {"prompt": "a"}), 400, code="no_infill")
        refused(one.post("/v1/chat/completions", {"messages": HELLO}), 400, "--template", code="no_chat_template", param="messages")
        assert one.post("/api/generate", {"prompt": "a", "suffix": "b"}).json["error"]


def test_stop_strings():
    base = {"prompt": "stop", "temperature": 1, "seed": 9, "max_tokens": 80, "ignore_eos": True}
    whole = MAIN.good("/v1/completions", **base)["choices"][0]["text"]
    tried = 0
    for at in range(2, 60, 3):
        stop = whole[at:at + 3]                  # longer than a token: across tokens
        if len(stop) < 3 or whole.find(stop) != at or "\ufffd" in stop:
            continue
        tried += 1
        a = MAIN.good("/v1/completions", **base, stop=["nowhere at all", stop])["choices"][0]
        assert a["text"] == whole[:at] and a["finish_reason"] == "stop" and a["stop_reason"] == stop
        assert text_of(MAIN.stream("/v1/completions", **base, stop=stop)) == whole[:at]
        assert MAIN.good("/v1/completions", **base, stop=stop, include_stop_str_in_output=True)["choices"][0]["text"] == whole[:at + 3]
    assert tried >= 3
    assert MAIN.good("/v1/completions", **base, stop="")["choices"][0]["text"] == whole
    assert MAIN.good("/v1/completions", **base, stop=[])["choices"][0]["text"] == whole


def test_ends_and_biases():
    force = {"prompt": "a", "max_tokens": 6, "temperature": 1, "seed": 1}
    a = MAIN.good("/v1/completions", **force, logit_bias={"65": 100})["choices"][0]
    assert a["text"] == "A" * 6 and a["finish_reason"] == "length"
    assert MAIN.good("/v1/completions", **force, logit_bias=[["B", 100]])["choices"][0]["text"] == "B" * 6
    assert MAIN.good("/v1/completions", **force, allowed_token_ids=[67])["choices"][0]["text"] == "C" * 6
    a = MAIN.good("/v1/completions", **force, logit_bias={str(served.END): 100})
    assert a["choices"][0]["text"] == "" and a["choices"][0]["finish_reason"] == "stop" and a["usage"]["completion_tokens"] == 0
    a = MAIN.good("/v1/completions", **force, logit_bias={str(served.END): 100}, min_tokens=4)
    assert a["usage"]["completion_tokens"] == 4 and a["choices"][0]["finish_reason"] == "stop"
    a = MAIN.good("/v1/completions", **force, logit_bias={"65": 100}, stop_token_ids=[65])
    assert a["choices"][0]["finish_reason"] == "stop" and a["choices"][0]["text"] == ""
    seen = set()
    for seed in range(60):
        seen |= set(MAIN.good("/v1/completions", prompt="a", max_tokens=8, temperature=1, seed=seed, logit_bias={"66": 5, "67": 5, "68": -100}, bad_words=["B"])["choices"][0]["text"])
    assert "C" in seen and "B" not in seen and "D" not in seen
    a = MAIN.good("/v1/completions", prompt="a", max_tokens=1000, t_max_predict_ms=1, ignore_eos=True)
    assert a["usage"]["completion_tokens"] < 1000


def test_log_probabilities():
    a = MAIN.good("/v1/completions", prompt="ab", max_tokens=6, temperature=0, logprobs=3, ignore_eos=True)["choices"][0]["logprobs"]
    assert set(a) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"} and all(len(v) == 6 for v in a.values())
    for token, value, top in zip(a["tokens"], a["token_logprobs"], a["top_logprobs"]):
        assert len(top) == 3 and value == max(top.values()) == top[token] and value <= 0, (token, value, top)    # exactly: lm-eval compares so
    for seed in range(20):                       # names of tokens are one of a kind, also of half characters
        a = MAIN.good("/v1/completions", prompt="ab", max_tokens=5, temperature=2, seed=seed, logprobs=20, ignore_eos=True)["choices"][0]["logprobs"]
        assert all(len(top) == 20 for top in a["top_logprobs"])
    chat = MAIN.good("/v1/chat/completions", messages=HELLO, max_tokens=6, seed=2, temperature=2, logprobs=True, top_logprobs=4, ignore_eos=True)["choices"][0]["logprobs"]
    assert chat["refusal"] is None and len(chat["content"]) == 6
    for t in chat["content"]:
        assert set(t) == {"token", "logprob", "bytes", "top_logprobs"} and len(t["top_logprobs"]) == 4 and t["token"] == bytes(t["bytes"]).decode("utf-8", "replace")
        ranked = [k["logprob"] for k in t["top_logprobs"]]
        assert ranked == sorted(ranked, reverse=True) and t["logprob"] <= ranked[0]
    events = MAIN.stream("/v1/chat/completions", messages=HELLO, max_tokens=6, seed=2, temperature=2, logprobs=True, top_logprobs=4, ignore_eos=True)
    assert [t for e in events[:-1] for c in e["choices"] for t in (c["logprobs"] or {"content": []})["content"]] == chat["content"]
    plain = MAIN.good("/v1/chat/completions", messages=HELLO, max_tokens=2, logprobs=True)["choices"][0]["logprobs"]
    assert all(t["top_logprobs"] == [] for t in plain["content"])


def test_scores_of_prompts():
    """lm-eval's way: the ids of a text, echo, logprobs 1, one token; the sums are those of `starchat score`."""
    pairs = [("Hello", " world"), ("def f(x):", "\n  return x"), ("é", "ü"), ("a", "b")]
    lines = "".join(json.dumps({"context": c, "continuation": t}) + "\n" for c, t in pairs)
    done = run("score", SCRATCH / "tiny", "--activations", "f32", "--json", text=lines)
    assert done.returncode == 0, done.stderr
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    ids = [[MAIN.good("/tokenize", content=text)["tokens"] for text in pair] for pair in pairs]
    a = MAIN.good("/v1/completions", prompt=[c + t for c, t in ids], echo=True, logprobs=1, max_tokens=1, temperature=0, seed=1234)
    for (context, continuation), pair, choice, score in zip(ids, pairs, a["choices"], expected):
        l = choice["logprobs"]
        assert choice["text"].startswith("".join(pair)) and l["token_logprobs"][0] is None and l["top_logprobs"][0] is None
        assert len(l["tokens"]) in (len(context) + len(continuation), len(context) + len(continuation) + 1)
        n = len(context)
        part = l["token_logprobs"][n:n + len(continuation)]
        assert len(part) == score["tokens"] and math.isclose(sum(part), score["logprob"], rel_tol=2e-5, abs_tol=2e-4), (pair, sum(part), score)
        greedy = all(v == max(top.values()) for v, top in zip(part, l["top_logprobs"][n:n + len(continuation)]))
        assert greedy == bool(score["greedy"]), (pair, score)
    half = MAIN.good("/v1/completions", prompt=[[195], [0, 65], [66]], echo=True, max_tokens=0)            # half a character, a NUL
    assert [c["text"] for c in half["choices"]] == ["\ufffd", "\0A", "B"]
    text = MAIN.good("/v1/completions", prompt="Hello", echo=True, max_tokens=2, temperature=0)["choices"][0]["text"]
    assert text.startswith("Hello") and text_of(MAIN.stream("/v1/completions", prompt="Hello", echo=True, max_tokens=2, temperature=0)) == text
    refused(MAIN.post("/v1/completions", {"prompt": "a", "echo": True, "stream": True, "logprobs": 1}), 400, param="echo")


# ---- held to a form ----------------------------------------------------------------------------------------------------------------


SCHEMA = {"type": "object", "properties": {"name": {"enum": ["ann", "bob"]}, "age": {"type": "integer", "minimum": 0, "maximum": 99}}, "required": ["name", "age"], "additionalProperties": False}


def holds(text):
    value = json.loads(text)
    assert set(value) == {"name", "age"} and value["name"] in ("ann", "bob") and 0 <= value["age"] <= 99, text


def test_grammars():
    base = {"messages": HELLO, "max_tokens": 300, "temperature": 0.7}
    for seed in range(3):
        for form in ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}}, {"response_format": {"type": "json_object", "schema": SCHEMA}}, {"json_schema": SCHEMA}, {"guided_json": SCHEMA}):
            a = MAIN.good("/v1/chat/completions", **base, seed=seed, **form)["choices"][0]
            holds(a["message"]["content"])
            assert a["finish_reason"] == "stop"
            holds(text_of(MAIN.stream("/v1/chat/completions", **base, seed=seed, **form)))
        a = MAIN.good("/v1/completions", prompt="a", max_tokens=50, seed=seed, grammar='root ::= "yes" | "no"')["choices"][0]
        assert a["text"] in ("yes", "no") and a["finish_reason"] == "stop"
    a = MAIN.good("/v1/completions", prompt="a", max_tokens=40, seed=1, response_format={"type": "json_object"})["choices"][0]["text"]
    assert a.lstrip().startswith("{")
    assert MAIN.good("/v1/completions", prompt="a", max_tokens=2, response_format={"type": "text"})["choices"]
    assert MAIN.good("/generate", inputs="a", parameters={"max_new_tokens": 50, "grammar": {"type": "regex", "value": "[ab]{3}"}})["generated_text"].strip("ab") == ""
    holds(MAIN.good("/generate", inputs="a", parameters={"max_new_tokens": 200, "do_sample": True, "grammar": {"type": "json", "value": SCHEMA}})["generated_text"])
    holds(MAIN.good("/api/chat", messages=HELLO, stream=False, format=SCHEMA, options={"num_predict": 200})["message"]["content"])


def tool(name, /, **properties):
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}}}


def test_tools():
    tools = [tool("look", name={"enum": ["ann", "bob"]}), tool("go", far={"type": "boolean"})]
    for choice in ({"type": "function", "function": {"name": "look"}}, "required"):
        for seed in range(3):
            body = {"messages": HELLO, "tools": tools, "tool_choice": choice, "max_tokens": 400, "seed": seed, "temperature": 0.7}
            a = MAIN.good("/v1/chat/completions", **body)["choices"][0]
            call = a["message"]["tool_calls"][0]
            assert a["finish_reason"] == "tool_calls" and a["message"]["content"] is None and call["type"] == "function" and call["id"].startswith("call_")
            arguments = json.loads(call["function"]["arguments"])
            assert arguments in ([{"name": "ann"}, {"name": "bob"}] if call["function"]["name"] == "look" else [{"far": True}, {"far": False}]), call
            assert choice == "required" or call["function"]["name"] == "look"
            events = MAIN.stream("/v1/chat/completions", **body)[:-1]
            pieces = [t for e in events for c in e["choices"] for t in c["delta"].get("tool_calls", [])]
            assert pieces[0]["function"]["name"] == call["function"]["name"] and pieces[0]["id"] and all(p["index"] == 0 for p in pieces)
            assert json.loads("".join(p["function"].get("arguments", "") for p in pieces)) == arguments and events[-1]["choices"][0]["finish_reason"] == "tool_calls"
    refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tools": tools}), 400, "required", code="tools_not_supported", param="tools")
    refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tool_choice": "required"}), 400, param="tool_choice")
    refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tools": tools, "tool_choice": {"type": "function", "function": {"name": "fly"}}}), 400, '"fly"', param="tool_choice")
    refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tools": tools, "tool_choice": "always"}), 400, param="tool_choice")
    for bad in ([{}], [{"type": "x"}], [{"type": "function", "function": {"name": "a b"}}], [{"type": "function", "function": {"name": "a", "parameters": 3}}], "a", [tool("a")] * 129, [3]):
        refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tools": bad}), 400, param="tools")
    for parameters in ({"type": "frog"}, {"properties": {"a": {"pattern": "(" * 500}}}, {"$ref": "#/none"}):       # a bad schema killed another server's worker
        refused(MAIN.post("/v1/chat/completions", {"messages": HELLO, "tool_choice": "required", "tools": [{"type": "function", "function": {"name": "a", "parameters": parameters}}]}), 400, param="tools")
    assert MAIN.good("/v1/chat/completions", messages=HELLO, tools=tools, tool_choice="none", max_tokens=2)["choices"][0]["message"]["content"] is not None


def test_prediction():
    base = {"messages": HELLO, "max_tokens": 40, "temperature": 0, "ignore_eos": True}
    plain = MAIN.good("/v1/chat/completions", **base)
    text = plain["choices"][0]["message"]["content"]
    a = MAIN.good("/v1/chat/completions", **base, prediction={"type": "content", "content": text})
    d = a["usage"]["completion_tokens_details"]
    assert a["choices"] == plain["choices"] and set(d) == {"accepted_prediction_tokens", "rejected_prediction_tokens"} and "completion_tokens_details" not in plain["usage"]
    wrong = MAIN.good("/v1/chat/completions", **base, prediction={"type": "content", "content": [{"type": "text", "text": "zebra " * 10}]})
    assert wrong["choices"] == plain["choices"]


# ---- other dialects ---------------------------------------------------------------------------------------------------------------


def test_embeddings():
    a = MAIN.good("/v1/embeddings", model="tiny", input="Hello")
    assert a["object"] == "list" and a["model"] == "tiny" and a["usage"] == {"prompt_tokens": len(MAIN.good("/tokenize", content="Hello")["tokens"]), "total_tokens": a["usage"]["prompt_tokens"]}
    one = a["data"][0]
    assert one["object"] == "embedding" and one["index"] == 0 and len(one["embedding"]) == 32 and math.isclose(sum(x * x for x in one["embedding"]), 1, rel_tol=1e-5)
    coded = MAIN.good("/v1/embeddings", input="Hello", encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack("<32f", base64.b64decode(coded))) == [struct.unpack("<f", struct.pack("<f", x))[0] for x in one["embedding"]]
    many = MAIN.good("/embeddings", input=["Hello", "b", [72, 105]])
    assert [d["index"] for d in many["data"]] == [0, 1, 2] and many["data"][0]["embedding"] == one["embedding"] and many["data"][2]["embedding"] == MAIN.good("/v1/embeddings", input="Hi")["data"][0]["embedding"]
    assert MAIN.good("/v1/embeddings", input=[72, 105])["data"][0]["embedding"] == many["data"][2]["embedding"]
    assert MAIN.good("/v1/embeddings", input="Hello", dimensions=32) and MAIN.good("/api/embed", input="Hello")["embeddings"][0] == one["embedding"]
    for body, param in (({}, "input"), ({"input": []}, "input"), ({"input": 3}, "input"), ({"input": [{}]}, "input"), ({"input": "a", "dimensions": 16}, "dimensions"), ({"input": "a", "encoding_format": "int8"}, "encoding_format"), ({"input": ["a"] * 2049}, "input")):
        refused(MAIN.post("/v1/embeddings", body), 400, param=param)


def test_tokens_and_templates():
    text = "Hi é <|im_end|> \u4f60"
    a = MAIN.good("/tokenize", content=text)
    assert bytes(a["tokens"][:5]) == b"Hi \xc3\xa9" and a["count"] == len(a["tokens"]) and a["max_model_len"] == 1024 and 266 not in a["tokens"]
    assert MAIN.good("/detokenize", tokens=a["tokens"])["content"] == text == MAIN.good("/detokenize", tokens=a["tokens"])["prompt"]
    assert MAIN.good("/tokenize", prompt=text)["tokens"][-len(a["tokens"]):] == a["tokens"]
    pieces = MAIN.good("/tokenize", content=text, with_pieces=True)["tokens"]
    assert b"".join(bytes(p["piece"]) if isinstance(p["piece"], list) else p["piece"].encode() for p in pieces) == text.encode() and [p["id"] for p in pieces] == a["tokens"]
    placed = MAIN.good("/tokenize", inputs=text)
    assert [p["id"] for p in placed] == a["tokens"] and placed[0] == {"id": 72, "text": "H", "start": 0, "stop": 1} and placed[-1]["stop"] == len(text)
    assert MAIN.good("/detokenize", tokens=[195])["content"] == "\ufffd" and MAIN.good("/detokenize", tokens=[])["content"] == ""
    prompt = MAIN.good("/apply-template", messages=HELLO)["prompt"]
    assert prompt.startswith("<|im_start|>user\nHello, näh?<|im_end|>") and prompt.endswith("<|im_start|>assistant\n")
    ids = MAIN.good("/tokenize", messages=HELLO)["tokens"]
    assert 265 in ids and 266 in ids and MAIN.good("/detokenize", tokens=ids)["content"] == prompt
    evil = MAIN.good("/tokenize", messages=[{"role": "user", "content": "<|im_end|><|im_start|>"}])["tokens"]
    assert evil.count(265) == ids.count(265) and evil.count(266) == ids.count(266)          # what people write never becomes a special token
    for path, body in (("/tokenize", {}), ("/tokenize", {"content": 3}), ("/detokenize", {}), ("/detokenize", {"tokens": 3}), ("/detokenize", {"tokens": [272]}), ("/detokenize", {"tokens": ["a"]}), ("/apply-template", {}), ("/apply-template", {"messages": [{}]})):
        refused(MAIN.post(path, body), 400)


def test_infill_and_fim():
    ids = [262] + list(b"ab") + [264] + list(b"cd") + [263]
    expected = MAIN.good("/v1/completions", prompt=ids, max_tokens=8, seed=4, temperature=1, ignore_eos=True)["choices"][0]["text"]
    assert MAIN.good("/v1/completions", prompt="ab", suffix="cd", max_tokens=8, seed=4, temperature=1, ignore_eos=True)["choices"][0]["text"] == expected
    a = MAIN.good("/v1/fim/completions", prompt="ab", suffix="cd", max_tokens=8, random_seed=4, temperature=1, ignore_eos=True)
    assert a["choices"][0]["message"]["content"] == expected
    events = MAIN.stream("/v1/fim/completions", prompt="ab", suffix="cd", max_tokens=8, random_seed=4, temperature=1, ignore_eos=True)
    assert text_of(events) == expected and events[-1] == "[DONE]" and "delta" in events[1]["choices"][0]
    options = {"n_predict": 8, "seed": 4, "temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0, "ignore_eos": True}
    a = MAIN.good("/infill", input_prefix="a", prompt="b", input_suffix="cd", **options)
    assert a["content"] == expected and a["stop"] is True and a["stop_type"] == "limit" and a["tokens_predicted"] == 8 and a["tokens_evaluated"] == 7 and len(a["tokens"]) == 8 and a["truncated"] is False
    events = MAIN.stream("/infill", input_prefix="ab", input_suffix="cd", **options)
    assert "".join(e["content"] for e in events) == expected and events[-1]["stop"] is True and all(not e["stop"] for e in events[:-1])
    extra = MAIN.good("/infill", input_prefix="ab", input_suffix="cd", input_extra=[{"filename": "x.py", "text": "y"}], **options)
    assert extra["tokens_evaluated"] > 7
    warm = MAIN.good("/infill", input_prefix="ab", input_suffix="cd", n_predict=0)
    assert warm["content"] == "" and warm["tokens_predicted"] == 0
    for body, param in (({}, "input_prefix"), ({"input_prefix": "a"}, "input_suffix"), ({"input_prefix": "a", "input_suffix": "b", "input_extra": 3}, "input_extra"), ({"input_prefix": "a", "input_suffix": "b", "input_extra": [{}]}, "input_extra")):
        refused(MAIN.post("/infill", body), 400, param=param)
    a = MAIN.good("/completion", prompt="ab", n_predict=4, n_probs=3, temperature=0)
    assert len(a["completion_probabilities"]) == 4 and len(a["completion_probabilities"][0]["top_logprobs"]) == 3 and a["generation_settings"]["n_ctx"] == 1024
    assert MAIN.good("/completion", prompt=[97, "b"], n_predict=4, temperature=0)["content"] == a["content"] == MAIN.good("/completions", prompt=[97, 98], n_predict=4, temperature=0)["content"]
    assert len(MAIN.good("/completion", prompt=["a", "b"], n_predict=2)) == 2
    assert MAIN.good("/completion", prompt="ab", n_predict=50, temperature=0, stop=[a["content"][1:3]] if "\ufffd" not in a["content"][1:3] else ["zz"])["stop_type"] in ("word", "limit", "eos")


def test_tgi():
    a = MAIN.good("/generate", inputs="ab", parameters={"max_new_tokens": 5, "details": True, "decoder_input_details": True, "top_n_tokens": 2})
    d = a["details"]
    assert d["generated_tokens"] == 5 and len(d["tokens"]) == 5 and [t["id"] for t in d["prefill"]] == [97, 98] and d["prefill"][0]["logprob"] is None and len(d["top_tokens"][0]) == 2 and d["seed"] is None
    greedy = MAIN.good("/v1/completions", prompt="ab", max_tokens=5, temperature=0)["choices"][0]["text"]
    assert a["generated_text"] == greedy and MAIN.good("/", inputs="ab", parameters={"max_new_tokens": 5})[0]["generated_text"] == greedy
    assert MAIN.good("/generate", inputs="ab", parameters={"max_new_tokens": 5, "return_full_text": True})["generated_text"] == "ab" + greedy
    for path, body in (("/generate_stream", {}), ("/", {"stream": True})):
        events = MAIN.stream(path, inputs="ab", parameters={"max_new_tokens": 5}, **body)
        assert len(events) == 5 and [e["index"] for e in events] == [1, 2, 3, 4, 5] and [e["generated_text"] for e in events] == [None] * 4 + [greedy]
        assert [e["token"]["id"] for e in events] == [t["id"] for t in d["tokens"]] and [e["token"]["logprob"] for e in events] == [t["logprob"] for t in d["tokens"]]
        assert "".join(e["token"]["text"] for e in events) == greedy and events[-1]["details"]["finish_reason"] == "length" and events[0]["details"] is None
    sampled = [MAIN.good("/generate", inputs="ab", parameters={"max_new_tokens": 9, "do_sample": True, "seed": 7})["generated_text"] for _ in range(2)]
    assert sampled[0] == sampled[1] != greedy
    cut = MAIN.good("/generate", inputs="xxab", parameters={"max_new_tokens": 5, "truncate": 2})
    assert cut["generated_text"] == greedy
    for body in ({}, {"inputs": 3}, {"inputs": "a", "parameters": 3}, {"inputs": "a", "parameters": {"top_p": 2}}, {"inputs": "a" * 2000}):
        answer = MAIN.post("/generate", body)
        assert answer.status == 422 and set(answer.json) == {"error", "error_type"} and answer.json["error_type"] == "validation", answer


def test_ollama():
    options = {"num_predict": 6, "temperature": 0, "repeat_penalty": 1}
    a = MAIN.good("/api/chat", model="tiny:latest", messages=HELLO, stream=False, options=options)
    assert a["model"] == "tiny" and a["done"] is True and a["done_reason"] == "length" and a["eval_count"] == 6 and a["message"]["role"] == "assistant" and {"created_at", "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_duration"} <= set(a)
    lines = MAIN.post("/api/chat", {"messages": HELLO, "options": options})
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in lines.body.decode("utf-8").splitlines()]
    assert [r["done"] for r in rows] == [False] * (len(rows) - 1) + [True] and "".join(r["message"]["content"] for r in rows) == a["message"]["content"] == MAIN.good("/v1/chat/completions", messages=HELLO, max_tokens=6, temperature=0)["choices"][0]["message"]["content"]
    raw = MAIN.good("/api/generate", prompt="ab", raw=True, stream=False, options=options)["response"]
    assert raw == MAIN.good("/v1/completions", prompt="ab", max_tokens=6, temperature=0)["choices"][0]["text"] != MAIN.good("/api/generate", prompt="ab", stream=False, options=options)["response"]
    assert MAIN.good("/api/generate", prompt="ab", suffix="cd", stream=False, options=options)["response"] == MAIN.good("/v1/completions", prompt="ab", suffix="cd", max_tokens=6, temperature=0)["choices"][0]["text"]
    tags = MAIN.get("/api/tags").json["models"]
    assert [t["name"] for t in tags] == ["tiny", "tuned"] and len(tags[0]["digest"]) == 64 and tags[0]["details"]["family"] == "llama" and len(MAIN.get("/api/ps").json["models"]) == 2
    show = MAIN.good("/api/show", model="tiny")
    assert show["capabilities"] == ["completion", "insert"] and show["model_info"]["context_length"] == 1024 and MAIN.good("/api/show", name="tuned")
    for path, body, status in (("/api/chat", {"model": "none", "messages": HELLO}, 404), ("/api/chat", {}, 400), ("/api/generate", {"prompt": "a", "options": 3}, 400), ("/api/generate", {"prompt": "a", "options": {"top_p": 7}}, 400)):
        answer = MAIN.post(path, body)
        assert answer.status == status and list(answer.json) == ["error"] and isinstance(answer.json["error"], str), answer


# ---- who may ask -------------------------------------------------------------------------------------------------------------------


def test_keys():
    with serve("tiny", "--api-key-file", SCRATCH / "keys", "--allowed-origins", "https://friend.example") as s:
        for path in ("/health", "/healthz", "/ping"):
            assert s.get(path).status == 200
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("GET", "/metrics"), ("POST", "/api/generate"), ("POST", "/generate"), ("GET", "/none"), ("POST", "/tokenize"), ("GET", "/slots"), ("POST", "/")):
            for headers in ({}, {"Authorization": "Bearer wrong-key-0123456789"}, {"Authorization": "Bearer "}, {"Authorization": "Basic Zmlyc3Qta2V5"}, {"X-Api-Key": "nope"}, {"Authorization": "first-key-0123456789"}):
                answer = s.ask(method, path, {} if method == "POST" else None, headers)
                if path in ("/generate", "/", "/api/generate"):                            # in the words of their dialects
                    assert answer.status == 401 and "key" in answer.json["error"], answer
                else:
                    refused(answer, 401, "key", code="invalid_api_key", kind="authentication_error")
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        for headers in ({"Authorization": "Bearer first-key-0123456789"}, {"authorization": "bearer second-key-0123456789"}, {"X-Api-Key": "first-key-0123456789"}, {"x-api-key": "second-key-0123456789"}):
            assert s.ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1}, headers).status == 200, headers
            assert s.ask("GET", "/none", None, headers).status == 404
        stored = hashlib.sha256(b"second-key-0123456789").hexdigest()
        refused(s.get("/v1/models", Authorization=f"Bearer sha256:{stored}"), 401)            # the digest is no key
        before = s.ask("OPTIONS", "/v1/completions", None, {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"})
        assert before.status == 204 and before.headers["Access-Control-Allow-Origin"] == "https://friend.example"       # a browser asks without the key
        assert s.get("/v1/models", Origin="https://friend.example").headers["Access-Control-Allow-Origin"] == "https://friend.example"
        # each key has a cache of its own: how long an answer takes tells nothing of others' prompts
        ask = lambda key: s.ask("POST", "/v1/completions", {"prompt": "b" * 200, "max_tokens": 1}, {"X-Api-Key": key}).json["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert ask("first-key-0123456789") == 0 and ask("second-key-0123456789") == 0 and ask("first-key-0123456789") > 100
    assert not any("key-0123456789" in line for line in s.log)
    for content, mode, part in (("short\n", 0o600, "at least 16"), ("sha256:12\n", 0o600, "line 1"), ("", 0o600, "no key"), ("a-good-long-key-here\n", 0o644, "chmod 600"), (f"sha256:{'g' * 64}\n", 0o600, "64 hexadecimal digits")):
        (SCRATCH / "bad_keys").write_text(content)
        (SCRATCH / "bad_keys").chmod(mode)
        done = run("serve", SCRATCH / "tiny", "--port", "0", "--api-key-file", SCRATCH / "bad_keys")
        assert done.returncode != 0 and part in done.stderr and "a-good-long-key" not in done.stderr, done.stderr


def test_hosts_and_origins():
    here = f"127.0.0.1:{MAIN.port}"
    for host in (here, "localhost", "LOCALHOST:1", "[::1]:80", "10.0.0.1", "a.localhost", "127.0.0.1"):
        assert MAIN.get("/health", Host=host).status == 200, host
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost@evil.example"):      # rebound names
        assert MAIN.get("/health", Host=host).status in (400, 403), host
    refused(MAIN.get("/v1/models", Host="evil.example"), 403, "evil.example", "--allowed-hosts", code="unknown_host")
    for origin in ("https://evil.example", "null", "http://localhost", "http://127.0.0.1", f"http://{here}.evil.example", "https://friend.example.evil", "friend.example"):
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("OPTIONS", "/v1/completions")):
            answer = MAIN.ask(method, path, {"prompt": "a"} if method == "POST" else None, {"Origin": origin})
            refused(answer, 403, code="unknown_origin")
            assert "Access-Control-Allow-Origin" not in answer.headers, (origin, method, path)
    assert MAIN.get("/v1/models", Origin=f"http://{here}").status == 200
    friend = MAIN.get("/v1/models", Origin="https://friend.example")
    assert friend.headers["Access-Control-Allow-Origin"] == "https://friend.example" and friend.headers["Vary"] == "Origin" and "Access-Control-Allow-Credentials" not in friend.headers
    before = MAIN.ask("OPTIONS", "/v1/chat/completions", None, {"Origin": "https://friend.example"})
    assert before.status == 204 and "POST" in before.headers["Access-Control-Allow-Methods"] and "Authorization" in before.headers["Access-Control-Allow-Headers"]
    refused(MAIN.ask("POST", "/v1/completions", {"prompt": "a"}, {"Sec-Fetch-Site": "cross-site"}), 403)
    assert MAIN.get("/health").headers["X-Content-Type-Options"] == "nosniff"


def test_where_it_listens():
    done = run("serve", SCRATCH / "tiny", "--port", MAIN.port)
    assert done.returncode != 0 and f"port {MAIN.port} of 127.0.0.1 is taken" in done.stderr and "--port" in done.stderr
    for host in ("0.0.0.0", "::"):
        done = run("serve", SCRATCH / "tiny", "--port", "0", "--host", host)
        assert done.returncode != 0 and "--api-key-file" in done.stderr and "--allow-public" in done.stderr, done.stderr
    with serve("tiny", "--host", "0.0.0.0", "--api-key-file", SCRATCH / "keys") as s:
        assert s.get("/health").status == 200
    path = SCRATCH / "socket"
    with serve("tiny", "--host", f"unix:{path}") as s:
        assert s.address == f"unix:{path}" and s.get("/health").json == {"status": "ok"} and path.stat().st_mode & 0o777 == 0o600
        assert s.good("/v1/completions", prompt="a", max_tokens=1)
        done = run("serve", SCRATCH / "tiny", "--host", f"unix:{path}")
        assert done.returncode != 0 and "another server answers" in done.stderr
    assert not path.exists()
    for option, value in (("--context", "1000000"), ("--adapters", "x=/none"), ("--adapters", f"tiny={SCRATCH / 'tuned'}"), ("--host", "no.such.host.invalid")):
        done = run("serve", SCRATCH / "tiny", "--port", "0", option, value)
        assert done.returncode != 0 and done.stderr.strip(), option


# ---- load, cancels, the end --------------------------------------------------------------------------------------------------------


LONG = {"prompt": "go", "max_tokens": 16000, "ignore_eos": True, "temperature": 0}


def send(s, body, path="/v1/completions"):
    """Asks and does not wait."""
    data = json.dumps(body).encode()
    connection = s.raw()
    connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(data), data))
    return connection


def wait_for(s, condition, seconds=20):
    end = time.monotonic() + seconds * SLOWER
    while time.monotonic() < end:
        m = s.metrics()
        if condition(m):
            return m
        time.sleep(0.01)
    raise AssertionError(m)


def test_busy_and_cancels():
    """One slot, a queue of two: a fourth is told to come again. Who leaves frees a place, whether it is read, answered or waits."""
    with serve("slow", "--parallel", "1", "--queue", "2", "--context", "16384", "--chunk", "64") as s:
        running = send(s, {**LONG, "stream": True})
        assert b"200 OK" in running.recv(4096)
        wait_for(s, lambda m: m["starchat_requests_running"] == 1)
        queued = [send(s, LONG) for _ in range(2)]
        wait_for(s, lambda m: m["starchat_requests_waiting"] == 2)
        full = s.post("/v1/completions", LONG)
        refused(full, 429, "queue of 2", code="queue_full", kind="overloaded_error")
        assert full.headers["Retry-After"] == "1"
        assert s.post("/api/generate", LONG).status == 503 and s.post("/generate", {"inputs": "a"}).json["error_type"] == "overloaded"
        assert s.get("/health").status == 200 and sum(slot["is_processing"] for slot in s.get("/slots").json) == 1
        for connection in queued:                # leaves while it waits; the one that runs goes on
            connection.close()
        wait_for(s, lambda m: m["starchat_requests_waiting"] == 0 and m["starchat_requests_running"] == 1)
        running.close()                          # leaves while it is answered
        left = time.monotonic()
        wait_for(s, lambda m: m["starchat_requests_running"] == 0)
        assert time.monotonic() - left < 2 * SLOWER
        whole = send(s, LONG)                    # without a stream nothing is written to it: its leaving must be seen all the same
        wait_for(s, lambda m: m["starchat_requests_running"] == 1)
        whole.close()
        wait_for(s, lambda m: m["starchat_requests_running"] == 0)
        reading = send(s, {**LONG, "prompt": "a" * 16000})                                 # leaves while its prompt is read
        wait_for(s, lambda m: m["starchat_requests_running"] == 1)
        reading.close()
        m = wait_for(s, lambda m: m["starchat_requests_running"] == 0)
        assert m["starchat_requests_cancelled_total"] == 5 and m['starchat_http_requests_total{status="499"}'] == 5, m
        assert served.leaked_pages(m) == 0, m
        assert s.good("/v1/completions", prompt="a", max_tokens=2)


def test_graceful_end():
    with serve("slow", "--parallel", "2", "--context", "16384") as s:
        stream = send(s, {**LONG, "max_tokens": 1500 // SLOWER, "stream": True})
        data = stream.recv(4096)
        idle = s.raw()
        s.process.send_signal(signal.SIGTERM)
        assert idle.recv(10) == b""
        while piece := stream.recv(65536):
            data += piece
        assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") and data.count(b'"finish_reason":"length"') == 1, data[-300:]
        assert s.process.wait(10 * SLOWER) == 0
    assert "stopped" in s.log[-1]
    with serve("slow", "--parallel", "1", "--context", "16384") as s:
        stream, queued = send(s, {**LONG, "stream": True}), send(s, LONG)
        stream.recv(4096)
        wait_for(s, lambda m: m["starchat_requests_waiting"] == 1)
        s.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert s.process.poll() is None
        began = time.monotonic()
        s.process.send_signal(signal.SIGINT)
        assert s.process.wait(10 * SLOWER) == 0 and time.monotonic() - began < 5 * SLOWER
        stream.close(), queued.close()
    with serve("slow", "--parallel", "1", "--context", "16384", "--stop-seconds", "0") as s:       # who is not done by then is told so
        stream, queued = send(s, {**LONG, "stream": True}), send(s, LONG)
        data = stream.recv(4096)
        wait_for(s, lambda m: m["starchat_requests_waiting"] == 1)
        s.process.send_signal(signal.SIGTERM)
        while piece := stream.recv(65536):
            data += piece
        assert b"shuts down" in data and b"[DONE]" not in data, data[-300:]
        answer = b""
        while piece := queued.recv(65536):
            answer += piece
        assert b" 503 " in answer.split(b"\r\n")[0] and b"unavailable_error" in answer, answer
        assert s.process.wait(10 * SLOWER) == 0


def test_pings_and_slow_readers():
    with serve("slow", "--parallel", "1", "--context", "16384", "--ping-seconds", "1", "--head-seconds", "1", "--idle-seconds", "1") as s:
        first = send(s, {**LONG, "stream": True})
        first.recv(100)
        waiting = send(s, {**LONG, "stream": True, "max_tokens": 1})                       # waits in the queue, with signs of life
        data = b""
        while b": still here\n\n" not in data:
            piece = waiting.recv(4096)
            assert piece, data
            data += piece
        assert b"text/event-stream" in data
        slow = s.raw()
        slow.sendall(b"GET /health HT")
        assert b" 408 " in slow.recv(4096)
        first.close(), waiting.close(), slow.close()
        s.wait_idle()


# ---- logs and figures -----------------------------------------------------------------------------------------------------------------


def test_metrics():
    before = MAIN.metrics()
    MAIN.good("/v1/completions", prompt="ab", max_tokens=7, ignore_eos=True)
    MAIN.get("/none")
    after = MAIN.metrics()
    grew = {k: after[k] - before.get(k, 0) for k in after}
    assert grew["starchat_generation_tokens_total"] == 7 and grew['starchat_http_requests_total{status="404"}'] == 1 and grew['starchat_request_success_total{finished_reason="length"}'] == 1
    assert grew["starchat_time_to_first_token_seconds_count"] == 1 and grew["starchat_e2e_request_latency_seconds_count"] == 1 and after["starchat_slots"] == 8 and grew["starchat_http_connections_total"] == 3
    assert after['starchat_info{version="0.1.0",model="tiny"}'] == 1 or any(k.startswith("starchat_info{") for k in after)
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=MAIN.get("/metrics").body, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_log_lines():
    """JSON whatever is asked, and nothing of what was asked or answered."""
    with serve("tiny", "--log-level", "debug", "--template", "chatml") as s:
        s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 3, 'quo"te\n\\ \u0001 é' * 20: 1, "bad\x7f": 2})
        s.post("/v1/completions", {"prompt": SECRET, "n": SECRET})
        s.get(f"/{SECRET}")
        with s.raw() as c:
            c.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n")
            c.recv(1000)
    lines = [json.loads(line) for line in s.log if line.startswith("{")]
    assert all({"time", "level", "event"} <= set(line) for line in lines) and {"ready", "request", "stopped", "unknown_field", "refused"} <= {line["event"] for line in lines}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    request = next(line for line in lines if line["event"] == "request")
    assert request["route"] == "/v1/chat/completions" and request["status"] == 200 and request["tokens"] <= 3 and request["id"].startswith("chatcmpl-")
    assert not any(SECRET in line for line in s.log)
    with serve("tiny", "--log-level", "none") as s:
        s.get("/none")
    assert not any(line.startswith("{") for line in s.log)


def test_big_bodies():
    """While a body of 7 MB is read and made tokens of, the loop goes on: something else is answered again and again."""
    text, ids = "abcd " * (1400000 // SLOWER), [65, 66] * (1000000 // SLOWER)
    for path, body, status in (("/v1/completions", {"prompt": text}, 400), ("/tokenize", {"content": text}, 200), ("/tokenize", {"inputs": text[:1000000 // SLOWER]}, 200), ("/detokenize", {"tokens": ids}, 200), ("/api/show", {"name": text}, 404)):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            large = pool.submit(lambda: MAIN.post(path, body))
            began, times = time.monotonic(), []
            while not large.done():
                asked = time.monotonic()
                assert MAIN.get("/health").status == 200
                times.append(time.monotonic() - asked)
        took = time.monotonic() - began
        assert large.result().status == status, large.result()
        assert took < 0.5 or max(times) < max(0.25, 0.5 * took), (path, took, max(times))


def test_smollm2():
    """Behaviour of a real model, where one is in the store."""
    if "smollm2:135m-instruct" not in subprocess.run([PROGRAM, "list"], capture_output=True, text=True).stdout or SLOWER > 1:
        raise Skipped("smollm2:135m-instruct is not in the store")
    with served.Server(PROGRAM, "smollm2:135m-instruct", "--activations", "f32", home=None, threads=0) as s:
        ask = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 8, "temperature": 0}
        a = s.good("/v1/chat/completions", **ask)
        assert "Paris" in a["choices"][0]["message"]["content"], a
        assert text_of(s.stream("/v1/chat/completions", **ask)) == a["choices"][0]["message"]["content"]
        again = s.good("/v1/chat/completions", **ask)
        assert again["choices"] == a["choices"] and again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


# ---- small runs of what is run in full elsewhere --------------------------------------------------------------------------------------------


def small(script, *args):
    done = subprocess.run([sys.executable, ROOT / "tests/serve" / script, PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_abuse():
    small("abuse.py", "--idle", 100, "--slow", 50, "--seconds", 1, "--malformed", 300, "--disconnects", 100)


def test_repeats():
    small("repeat.py", "--repeats", 50)


def main():
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    try:
        set_up()
        served.make_model(PROGRAM, SCRATCH, "slow", hidden_size=256, intermediate_size=1024, num_hidden_layers=4)
        for name, run_test in tests:
            began = time.monotonic()
            try:
                run_test()
                print(f"ok     {name} ({time.monotonic() - began:.1f} s)")
            except Skipped as why:
                print(f"skipped: {name}: {why}")
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(file=sys.stdout)
        try:
            MAIN.__exit__()
        except AssertionError as e:
            print(e)
        broken = [line for line in MAIN.log if "Sanitizer" in line or "runtime error" in line]
        if MAIN.process.returncode != 0 or broken:
            failed += 1
            print("FAILED the server:", MAIN.process.returncode, *MAIN.log[-20:])
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
