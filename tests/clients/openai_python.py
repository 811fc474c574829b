"""The openai package for Python, unmodified, against the server."""
import asyncio
import json
import math
import threading
from typing import List, Literal

import openai
from pydantic import BaseModel, Field

import checks
from checks import MODEL, SETTINGS, URL, only_tiny

client = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0, timeout=120)
HELLO = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Say hello."}]
COMMON = {"model": MODEL, "messages": HELLO, "max_tokens": 12, "seed": 5, "temperature": 0.8}
TOOL = {"type": "function", "function": {"name": "paint", "description": "Paints a wall", "strict": True, "parameters": {
    "type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "coats": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["colour", "coats"], "additionalProperties": False}}}
OTHER = {"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}


class Wall(BaseModel):
    colour: Literal["red", "green", "blue"]
    coats: int = Field(ge=1, le=9)
    marks: List[Literal["a", "b"]] = Field(max_length=3)
    is_dry: bool


def raises(kind, function, *args, **more):
    try:
        function(*args, **more)
    except kind as e:
        assert type(e) is kind, type(e)
        return e
    raise AssertionError(f"no {kind.__name__}")


def check_models():
    names = [m.id for m in client.models.list()]
    assert MODEL in names, names
    model = client.models.retrieve(MODEL)
    assert model.id == MODEL and model.object == "model" and model.owned_by and model.created > 1.7e9


def check_chat():
    a = client.chat.completions.create(**COMMON)
    assert a.object == "chat.completion" and a.id.startswith("chatcmpl-") and a.model == MODEL and a.system_fingerprint
    choice = a.choices[0]
    assert choice.message.role == "assistant" and isinstance(choice.message.content, str) and choice.finish_reason in ("stop", "length")
    assert a.usage.total_tokens == a.usage.prompt_tokens + a.usage.completion_tokens and 0 < a.usage.completion_tokens <= 12
    again = client.chat.completions.create(**COMMON)
    assert again.choices[0].message.content == choice.message.content and again.usage.prompt_tokens_details.cached_tokens > 0


def check_chat_of_parts_and_several_answers():
    only_tiny()
    parts = [{"role": "developer", "content": "You are brief."}, {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]}]
    a = client.chat.completions.create(model=MODEL, messages=parts, max_completion_tokens=6, n=2, seed=5, stop=["\x03"], logit_bias={"65": -100}, user="me", metadata={"a": "b"}, store=False)
    b = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=6, seed=6, stop=["\x03"], logit_bias={"65": -100})
    assert [c.index for c in a.choices] == [0, 1] and a.choices[1].message.content == b.choices[0].message.content


def check_stream():
    whole = client.chat.completions.create(**COMMON).choices[0]
    chunks = list(client.chat.completions.create(**COMMON, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and len({(c.id, c.created, c.model) for c in chunks}) == 1
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == [whole.finish_reason] and all(c.usage is None for c in chunks)


def check_stream_with_usage():
    whole = client.chat.completions.create(**COMMON).usage
    *chunks, last = client.chat.completions.create(**COMMON, stream=True, stream_options={"include_usage": True})
    assert last.choices == [] and (last.usage.prompt_tokens, last.usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)
    assert all(c.usage is None and c.choices for c in chunks)


def check_stream_helper():
    only_tiny()
    with client.chat.completions.stream(**COMMON) as stream:
        events = list(stream)
        try:
            final = stream.get_final_completion()
            assert final.choices[0].finish_reason == "stop"
        except openai.LengthFinishReasonError as e:                       # what this helper makes of an answer that max_tokens cut
            final = e.completion
    text = client.chat.completions.create(**COMMON).choices[0].message.content
    assert "".join(e.delta for e in events if e.type == "content.delta") == text == final.choices[0].message.content
    assert any(e.type == "content.done" for e in events)


def check_raw_and_streaming_responses():
    only_tiny()
    raw = client.chat.completions.with_raw_response.create(**COMMON)
    assert raw.status_code == 200 and raw.headers["content-type"] == "application/json" and raw.parse().choices and raw.retries_taken == 0
    with client.chat.completions.with_streaming_response.create(**COMMON, stream=True) as r:
        lines = [line for line in r.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)


def check_logprobs():
    a = client.chat.completions.create(**COMMON, logprobs=True, top_logprobs=3)
    tokens = a.choices[0].logprobs.content
    assert len(tokens) in (a.usage.completion_tokens, a.usage.completion_tokens - 1) and all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in tokens)
    text = b"".join(bytes(t.bytes) for t in tokens).decode("utf-8", "replace")
    assert text == a.choices[0].message.content, (text, a.choices[0].message.content)
    streamed = [t for c in client.chat.completions.create(**COMMON, logprobs=True, top_logprobs=3, stream=True) if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert [(t.token, t.logprob) for t in streamed] == [(t.token, t.logprob) for t in tokens]


def check_completions():
    a = client.completions.create(model=MODEL, prompt="def fib(n):", max_tokens=8, temperature=0)
    assert a.object == "text_completion" and a.choices[0].text and a.usage.completion_tokens <= 8
    assert "".join(c.choices[0].text for c in client.completions.create(model=MODEL, prompt="def fib(n):", max_tokens=8, temperature=0, stream=True)) == a.choices[0].text
    many = client.completions.create(model=MODEL, prompt=["def fib(n):", "x"], max_tokens=8, temperature=0, n=1)
    assert [c.index for c in many.choices] == [0, 1] and many.choices[0].text == a.choices[0].text
    best = client.completions.create(model=MODEL, prompt="def fib(n):", max_tokens=4, best_of=3, n=1, seed=3)
    assert len(best.choices) == 1
    *chunks, last = client.completions.create(model=MODEL, prompt="def fib(n):", max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True})
    assert last.choices == [] and last.usage.completion_tokens == a.usage.completion_tokens and chunks[-1].choices[0].finish_reason == a.choices[0].finish_reason


def check_completions_with_echo_and_logprobs():
    prompt = "def fib(n):"
    a = client.completions.create(model=MODEL, prompt=prompt, max_tokens=3, temperature=0, echo=True, logprobs=2)
    lp = a.choices[0].logprobs
    n = a.usage.prompt_tokens + a.usage.completion_tokens
    assert a.choices[0].text.startswith(prompt) and len(lp.tokens) == len(lp.token_logprobs) == len(lp.top_logprobs) == len(lp.text_offset) and n - 1 <= len(lp.tokens) <= n
    assert lp.token_logprobs[0] is None and all(p <= 0 for p in lp.token_logprobs[1:]) and lp.text_offset[0] == 0 and lp.text_offset == sorted(lp.text_offset)
    assert "".join(lp.tokens[:a.usage.prompt_tokens]) == prompt
    generated = range(a.usage.prompt_tokens, len(lp.tokens))
    assert all(lp.token_logprobs[i] == max(lp.top_logprobs[i].values()) for i in generated), "greedy tokens are not the likeliest"


def check_completions_with_suffix():
    ask = lambda **more: client.completions.create(model=MODEL, prompt="def add(a, b):\n", suffix="\n\nprint(add(1, 2))\n", max_tokens=8, temperature=0, **more)
    if not SETTINGS["infill"]:
        assert raises(openai.BadRequestError, ask).code == "no_infill"
        return
    a = ask()
    assert a.choices[0].text == "".join(c.choices[0].text for c in ask(stream=True))
    same = client.completions.create(model=MODEL, prompt="<fim_prefix>def add(a, b):\n<fim_suffix>\n\nprint(add(1, 2))\n<fim_middle>", max_tokens=8, temperature=0)
    assert same.choices[0].text == a.choices[0].text and same.usage.prompt_tokens == a.usage.prompt_tokens


def check_embeddings():
    a = client.embeddings.create(model=MODEL, input=["def add(a, b)", "sum of two"])              # the client asks for base64 by itself
    b = client.embeddings.create(model=MODEL, input="def add(a, b)", encoding_format="float")
    assert [d.index for d in a.data] == [0, 1] and a.usage.prompt_tokens == a.usage.total_tokens > 0
    assert all(abs(x - y) < 1e-6 for x, y in zip(a.data[0].embedding, b.data[0].embedding)) and len(a.data[0].embedding) == len(b.data[0].embedding)
    assert abs(math.hypot(*a.data[0].embedding) - 1) < 1e-3


def check_tools_required():
    a = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[TOOL], tool_choice="required", seed=5, max_tokens=100)
    choice = a.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None and len(choice.message.tool_calls) == 1
    call = choice.message.tool_calls[0]
    assert call.type == "function" and call.function.name == "paint" and call.id
    arguments = json.loads(call.function.arguments)
    assert arguments["colour"] in ("red", "green", "blue") and 1 <= arguments["coats"] <= 9
    after = HELLO + [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    assert client.chat.completions.create(model=MODEL, messages=after, max_tokens=4, seed=5).choices[0].message.role == "assistant"


def check_tools_streamed():
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, tools=[TOOL, OTHER], tool_choice={"type": "function", "function": {"name": "paint"}}, seed=5, max_tokens=100, stream=True, parallel_tool_calls=False))
    calls = [t for c in chunks for t in c.choices[0].delta.tool_calls or []]
    assert calls[0].id and calls[0].function.name == "paint" and all(t.index == 0 for t in calls) and not any(t.id for t in calls[1:])
    assert json.loads("".join(t.function.arguments or "" for t in calls))["colour"] and chunks[-1].choices[0].finish_reason == "tool_calls"


def check_tools_of_several():
    only_tiny()
    a = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[TOOL, OTHER], tool_choice="required", seed=6, max_tokens=100)
    assert a.choices[0].message.tool_calls[0].function.name in ("paint", "wait") and a.choices[0].finish_reason == "tool_calls"
    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[TOOL, OTHER], tool_choice="required", seed=6, max_tokens=100) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == a.choices[0].message.tool_calls[0].function.arguments
    assert client.chat.completions.create(model=MODEL, messages=HELLO, tools=[TOOL], tool_choice="none", max_tokens=4).choices[0].message.tool_calls is None


def check_parse():
    a = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Wall, seed=5, max_tokens=120)
    wall = a.choices[0].message.parsed
    assert isinstance(wall, Wall) and a.choices[0].message.refusal is None
    if not SETTINGS["tiny"]:
        return
    tool = openai.pydantic_function_tool(Wall, name="paint")
    b = client.chat.completions.parse(model=MODEL, messages=HELLO, tools=[tool], tool_choice="required", seed=5, max_tokens=120)
    assert isinstance(b.choices[0].message.tool_calls[0].function.parsed_arguments, Wall)
    with client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Wall, seed=5, max_tokens=120) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == wall
    raises(openai.LengthFinishReasonError, client.chat.completions.parse, model=MODEL, messages=HELLO, response_format=Wall, max_tokens=2)


def check_json_object():
    only_tiny()
    a = client.chat.completions.create(model=MODEL, messages=HELLO, response_format={"type": "json_object"}, seed=4, max_tokens=2000)
    assert isinstance(json.loads(a.choices[0].message.content), dict), a.choices[0]


def check_prediction():
    only_tiny()
    code = "def add(a, b):\n    return a + b\n"
    a = client.chat.completions.create(model=MODEL, messages=HELLO, prediction={"type": "content", "content": code}, max_tokens=8, temperature=0)
    b = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, temperature=0)
    assert a.choices[0].message.content == b.choices[0].message.content
    assert a.usage.completion_tokens_details.accepted_prediction_tokens >= 0 and a.usage.completion_tokens_details.rejected_prediction_tokens >= 0


def check_error_400():
    only_tiny()
    e = raises(openai.BadRequestError, client.chat.completions.create, **{**COMMON, "temperature": 5})
    assert e.status_code == 400 and e.param == "temperature" and e.type == "invalid_request_error" and "temperature" in e.message
    e = raises(openai.BadRequestError, client.chat.completions.create, model=MODEL, messages=[{"role": "user", "content": "word " * 9000}])
    assert e.code == "context_length_exceeded" and e.body["n_prompt_tokens"] > e.body["n_ctx"]
    raises(openai.BadRequestError, client.chat.completions.create, **{**COMMON, "stream": True, "stop": 3})


def check_error_404():
    only_tiny()
    e = raises(openai.NotFoundError, client.models.retrieve, "no/such:model")
    assert e.code == "model_not_found" and e.param == "model"
    raises(openai.NotFoundError, client.images.generate, prompt="a cat")


def check_error_401():
    only_tiny()
    e = raises(openai.AuthenticationError, openai.OpenAI(base_url=SETTINGS["keyed"] + "/v1", api_key="wrong", max_retries=2).models.list)
    assert e.status_code == 401 and e.code == "invalid_api_key"
    assert openai.OpenAI(base_url=SETTINGS["keyed"] + "/v1", api_key=SETTINGS["key"]).models.list().data


def check_error_429_and_retries():
    """One answer runs, one waits: a third is refused at once; a client that retries gets its answer when there is room."""
    only_tiny()
    make = lambda retries: openai.OpenAI(base_url=SETTINGS["keyed"] + "/v1", api_key=SETTINGS["key"], max_retries=retries, timeout=60)
    long = {"model": "any", "prompt": "a", "max_tokens": 8000, "extra_body": {"ignore_eos": True}, "stream": True, "temperature": 1}
    first, second = make(0), make(0)
    running = first.completions.create(**long)
    next(iter(running))
    waiting = second.completions.create(**long)
    e = raises(openai.RateLimitError, make(0).completions.create, model="any", prompt="a", max_tokens=1)
    assert e.status_code == 429 and e.code == "queue_full" and e.response.headers["retry-after"] == "1"
    refused = lambda: checks.metric('http_requests_total{status="429"}', SETTINGS["keyed"])
    before = refused()

    def make_room():
        checks.until(lambda: refused() > before, 60)
        running.close()
        waiting.close()
    threading.Thread(target=make_room).start()
    raw = make(5).completions.with_raw_response.create(model="any", prompt="a", max_tokens=1)
    assert raw.retries_taken >= 1 and raw.parse().choices


def check_cancel_by_closing():
    only_tiny()
    before = checks.metric("requests_cancelled_total")
    stream = client.completions.create(model=MODEL, prompt="a", max_tokens=8000, stream=True, temperature=1, extra_body={"ignore_eos": True})
    for _ in zip(range(3), stream):
        pass
    stream.close()
    checks.until(lambda: checks.metric("requests_cancelled_total") == before + 1 and checks.metric("requests_running") == 0)


def check_time_out():
    only_tiny()
    before = checks.metric("requests_cancelled_total")
    raises(openai.APITimeoutError, client.with_options(timeout=0.15).completions.create, model=MODEL, prompt="a", max_tokens=8000, temperature=1, extra_body={"ignore_eos": True})
    checks.until(lambda: checks.metric("requests_cancelled_total") == before + 1 and checks.metric("requests_running") == 0)


def check_connection_error():
    only_tiny()
    raises(openai.APIConnectionError, openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0).models.list)


def check_many_at_once():
    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key="none", max_retries=0, timeout=120) as c:
            async def one(seed):
                return (await c.chat.completions.create(**{**COMMON, "seed": seed})).choices[0].message.content

            async def streamed(seed):
                return "".join([chunk.choices[0].delta.content or "" async for chunk in await c.chat.completions.create(**{**COMMON, "seed": seed}, stream=True)])
            seeds = range(6 if SETTINGS["tiny"] else 2)
            return await asyncio.gather(*map(one, seeds)), await asyncio.gather(*map(streamed, seeds)), [await one(seed) for seed in seeds]
    together, streams, alone = asyncio.run(all_of_them())
    assert together == streams == alone


checks.run(f"openai {openai.__version__} (Python)", globals())
