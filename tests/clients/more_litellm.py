"""litellm, unmodified, against the server: OpenAI's form and Ollama's, and its names of errors."""
import importlib.metadata

import litellm

import checks
from checks import MODEL, SETTINGS, URL

litellm.suppress_debug_info = True
MESSAGES = [{"role": "user", "content": "Say hello."}]
OPENAI = {"model": f"openai/{MODEL}", "api_base": URL + "/v1", "api_key": "none", "messages": MESSAGES, "max_tokens": 12, "seed": 5, "num_retries": 0}


def check_chat():
    a = litellm.completion(**OPENAI)
    assert isinstance(a.choices[0].message.content, str) and a.usage.completion_tokens > 0
    assert "".join(c.choices[0].delta.content or "" for c in litellm.completion(**OPENAI, stream=True)) == a.choices[0].message.content


def check_completions():
    a = litellm.text_completion(model=f"text-completion-openai/{MODEL}", api_base=URL + "/v1", api_key="none", prompt="def fib(n):", max_tokens=8, temperature=0, num_retries=0)
    assert isinstance(a.choices[0].text, str)


def check_embeddings():
    a = litellm.embedding(model=f"openai/{MODEL}", api_base=URL + "/v1", api_key="none", input=["a", "b"])
    assert len(a.data) == 2 and len(a.data[0]["embedding"]) > 0


def check_ollama():
    for provider in ("ollama_chat", "ollama"):
        a = litellm.completion(model=f"{provider}/{MODEL}", api_base=URL, messages=MESSAGES, max_tokens=8)
        assert isinstance(a.choices[0].message.content, str), provider
        assert isinstance("".join(c.choices[0].delta.content or "" for c in litellm.completion(model=f"{provider}/{MODEL}", api_base=URL, messages=MESSAGES, max_tokens=8, stream=True)), str)


def check_errors():
    for kind, more in ((litellm.exceptions.BadRequestError, {"temperature": 5}), (litellm.exceptions.ContextWindowExceededError, {"messages": [{"role": "user", "content": "word " * 9000}]}),
                       (litellm.exceptions.AuthenticationError, {"api_base": SETTINGS["keyed"] + "/v1", "api_key": "wrong"})):
        try:
            litellm.completion(**{**OPENAI, **more})
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


checks.run(f"litellm {importlib.metadata.version('litellm')}", globals())
