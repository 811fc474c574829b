"""The ollama package for Python, unmodified, against the server."""
import asyncio
import importlib.metadata
import json
import math

import ollama

import checks
from checks import MODEL, SETTINGS, URL

client = ollama.Client(host=URL, timeout=120)
MESSAGES = [{"role": "user", "content": "Say hello."}]
OPTIONS = {"num_predict": 12, "seed": 5, "temperature": 0.8}


def check_list_show_ps():
    assert MODEL in [m.model for m in client.list().models] and MODEL in [m.model for m in client.ps().models]
    shown = client.show(MODEL)
    assert shown.details.parameter_size and "completion" in shown.capabilities and ("insert" in shown.capabilities) == SETTINGS["infill"]
    assert shown.modelinfo["general.architecture"]


def check_chat():
    a = client.chat(MODEL, messages=MESSAGES, options=OPTIONS)
    assert a.done and a.done_reason in ("stop", "length") and a.message.role == "assistant" and isinstance(a.message.content, str)
    assert a.eval_count > 0 and a.prompt_eval_count > 0 and a.total_duration > 0 and a.model == MODEL and a.created_at
    pieces = list(client.chat(MODEL, messages=MESSAGES, options=OPTIONS, stream=True))
    assert "".join(p.message.content for p in pieces) == a.message.content and [p.done for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].eval_count == a.eval_count


def check_generate():
    a = client.generate(MODEL, "def fib(n):", raw=True, options=OPTIONS)
    assert a.done and isinstance(a.response, str)
    assert "".join(p.response for p in client.generate(MODEL, "def fib(n):", raw=True, options=OPTIONS, stream=True)) == a.response
    assert client.generate(MODEL, "Say hello.", system="You are brief.", options=OPTIONS, keep_alive="5m").done
    if SETTINGS["infill"]:
        assert client.generate(MODEL, "def fib(n):\n", suffix="\nprint(fib(3))", options=OPTIONS).prompt_eval_count > 3


def check_format():
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}, "coats": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["colour", "coats"], "additionalProperties": False}
    a = client.chat(MODEL, messages=MESSAGES, format=schema, options={**OPTIONS, "num_predict": 60})
    assert json.loads(a.message.content)["colour"] in ("red", "green")


def check_embed():
    a = client.embed(MODEL, ["def add(a, b)", "x"])
    assert len(a.embeddings) == 2 and abs(math.hypot(*a.embeddings[0]) - 1) < 1e-3 and a.prompt_eval_count > 0


def check_errors():
    try:
        client.chat(MODEL, messages=MESSAGES, options={"temperature": 7})
    except ollama.ResponseError as e:
        assert e.status_code == 400 and "temperature" in e.error
    else:
        raise AssertionError("no error")


def check_async():
    async def all_of_them():
        c = ollama.AsyncClient(host=URL)
        return await asyncio.gather(*(c.chat(MODEL, messages=MESSAGES, options=OPTIONS) for _ in range(3)))
    assert len({a.message.content for a in asyncio.run(all_of_them())}) == 1


def check_cancel_by_closing():
    before = checks.metric("requests_cancelled_total")
    stream = client.generate(MODEL, "a", raw=True, stream=True, options={"num_predict": 8000, "ignore_eos": True})
    for _ in zip(range(3), stream):
        pass
    stream.close()
    checks.until(lambda: checks.metric("requests_cancelled_total") == before + 1 and checks.metric("requests_running") == 0)


checks.run(f"ollama {importlib.metadata.version('ollama')} (Python)", globals())
