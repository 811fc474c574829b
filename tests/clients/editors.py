"""What editors' plug-ins send, with exactly their fields, and what they read from the answers: llama.vim, llama.vscode, Continue, Tabby
(its server, which asks this one), llm-ls (llm-vscode, llm.nvim). Written from their sources of the dates below; standard library only."""
import http.client
import json
import time
import urllib.parse

import checks
from checks import MODEL, URL

HOST = urllib.parse.urlsplit(URL)
BEFORE, AFTER = "def add(a, b):\n    ", "\n\nprint(add(1, 2))\n"
MARKED = f"<fim_prefix>{BEFORE}<fim_suffix>{AFTER}<fim_middle>"
EXTRA = [{"text": "import os\nimport sys\n", "time": [1, 2], "filename": "other.py"}]
MESSAGES = [{"role": "system", "content": "You are an expert coder."}, {"role": "user", "content": "Explain add."}]
TOOLS = [{"type": "function", "function": {"name": "read_file", "description": "Reads a file", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}, "strict": True}}]


def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(HOST.hostname, HOST.port, timeout=60)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}} if data else headers)
        r = connection.getresponse()
        return r.status, r.headers["Content-Type"], r.read().decode()
    finally:
        connection.close()


def post(path, body, **headers):
    status, _, text = ask("POST", path, body, **headers)
    assert status == 200, (status, text[:300])
    return json.loads(text)


def get(path):
    status, _, text = ask("GET", path)
    assert status == 200, (status, text[:300])
    return json.loads(text)


def events(path, body, **headers):
    """The data of events as these clients cut it: lines that begin with "data:"."""
    status, kind, text = ask("POST", path, body, **headers)
    assert status == 200 and kind.startswith("text/event-stream"), (status, kind, text[:300])
    return [line[5:].strip() for line in text.split("\n") if line.startswith("data:")]


def decoded(lines):
    return [json.loads(line) for line in lines if line != "[DONE]"]


def count_of_marked():
    return post("/v1/completions", {"prompt": BEFORE, "suffix": AFTER, "max_tokens": 1})["usage"]["prompt_tokens"]


# ---- llama.vim, 2026-01-31 ----------------------------------------------------------------------------------------------------------

def vim_request(**more):
    fields = ["content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms", "timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms",
              "timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated", "tokens_cached"]
    return {"id_slot": 0, "input_prefix": BEFORE, "input_suffix": AFTER, "input_extra": EXTRA, "prompt": "    ret", "n_predict": 128, "stop": [], "n_indent": 4, "top_k": 40, "top_p": 0.90,
            "samplers": ["top_k", "top_p", "infill"], "stream": False, "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 1000, "response_fields": fields, **more}


def check_llama_vim_fills_in():
    request = vim_request()
    a = post("/infill", request)
    assert sorted(a) == sorted(request["response_fields"]), sorted(a)               # it asks for these and reads them by these names
    assert isinstance(a["content"], str) and a["truncated"] is False and a["tokens_cached"] > 0 and a["timings/predicted_n"] >= 0
    assert a["timings/prompt_n"] >= 0 and all(isinstance(a[f"timings/{part}"], float) for part in ("prompt_ms", "predicted_ms"))
    again = post("/infill", request)
    assert again["timings/prompt_n"] < a["timings/prompt_n"] or a["timings/prompt_n"] <= 1       # the second time the cache has it


def check_llama_vim_warms_up():
    a = post("/infill", {"id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": EXTRA, "prompt": "", "n_predict": 0, "temperature": 0.0, "samplers": [], "stream": False, "cache_prompt": True,
                         "t_max_prompt_ms": 1, "t_max_predict_ms": 1, "response_fields": [""]})
    assert a == {}
    post("/v1/chat/completions", {"id_slot": 1, "messages": MESSAGES, "samplers": [], "n_predict": 0, "stream": False, "cache_prompt": True, "response_fields": [""]})


def check_llama_vim_leaves_early():
    """The next key stops the job of the last one: curl is killed in the middle."""
    before = checks.metric("requests_cancelled_total")
    connection = http.client.HTTPConnection(HOST.hostname, HOST.port, timeout=60)
    # ignore_eos is not its field: it keeps the random model from ending by itself before curl is killed.
    connection.request("POST", "/infill", json.dumps(vim_request(n_predict=8000, t_max_predict_ms=60000, ignore_eos=True)), {"Content-Type": "application/json"})
    checks.until(lambda: checks.metric("requests_running") == 1)
    connection.sock.close()
    connection.close()
    checks.until(lambda: checks.metric("requests_cancelled_total") == before + 1 and checks.metric("requests_running") == 0)


def check_llama_vim_instructs():
    lines = events("/v1/chat/completions", {"id_slot": 1, "messages": MESSAGES, "min_p": 0.1, "temperature": 0.1, "samplers": ["min_p", "temperature"], "stream": True, "cache_prompt": True, "max_tokens": 12})
    assert lines[-1] == "[DONE]" and all(isinstance(e["choices"][0]["delta"].get("content", ""), str) for e in decoded(lines))


# ---- llama.vscode, 2026-08-19 -------------------------------------------------------------------------------------------------------

def check_llama_vscode_fills_in():
    common = {"id_slot": 0, "input_prefix": BEFORE, "input_suffix": AFTER, "input_extra": [{"text": "import os\n", "time": 1, "filename": "other.py"}], "prompt": "    ret", "cache_prompt": True, "t_max_prompt_ms": 500}
    post("/infill", {**common, "n_predict": 0, "samplers": [], "t_max_predict_ms": 1, "lora": [{"id": 0, "scale": 0.5}]})
    a = post("/infill", {**common, "n_predict": 16, "n_cmpl": 3, "top_k": 40, "top_p": 0.99, "stream": False, "samplers": ["top_k", "top_p", "infill"], "n_indent": 4, "t_max_predict_ms": 2500, "model": MODEL})
    assert isinstance(a, list) and len(a) == 3 and all(isinstance(one["content"], str) for one in a)
    one = post("/infill", {**common, "n_predict": 16, "n_cmpl": 1, "top_k": 40, "top_p": 0.99, "stream": False, "samplers": ["top_k", "top_p", "infill"], "t_max_predict_ms": 2500})
    timings = one["timings"]
    assert one["truncated"] is False and one["tokens_cached"] > 0 and one["generation_settings"]["n_ctx"] > 0
    assert all(isinstance(timings[key], (int, float)) for key in ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms", "predicted_per_second"))


def check_llama_vscode_finds_limits():
    assert get("/health")["status"] == "ok"
    models = get("/v1/models")["data"]
    assert len(models) == 1 and models[0]["id"] == MODEL and models[0]["meta"]["n_ctx_train"] > 0              # "meta" is how it knows llama.cpp's API
    assert get("/props")["default_generation_settings"]["n_ctx"] == models[0]["meta"]["n_ctx"] > 0


def check_llama_vscode_counts():
    prompt = post("/apply-template", {"messages": MESSAGES, "model": MODEL})["prompt"]
    tokens = post("/tokenize", {"content": prompt, "add_special": False, "parse_special": True})["tokens"]
    assert len(tokens) == post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 1})["usage"]["prompt_tokens"]


def check_llama_vscode_chats_and_edits():
    for more in ({"temperature": 0.8}, {"cache_prompt": True, "temperature": 0.8, "top_p": 0.95, "model": MODEL}):
        assert isinstance(post("/v1/chat/completions", {"messages": MESSAGES, "stream": False, "max_tokens": 8, **more})["choices"][0]["message"]["content"], str)


def check_llama_vscode_agent():
    """Tools by "auto" need a template that knows them; without one the agent must get a reason that it can show."""
    status, kind, text = ask("POST", "/v1/chat/completions", {"messages": MESSAGES, "stream": True, "model": MODEL, "tools": TOOLS, "tool_choice": "auto", "max_tokens": 32})
    assert status == 400 and json.loads(text)["error"]["code"] == "tools_not_supported", (status, text[:200])
    status, _, text = ask("POST", "/v1/chat/completions", {"messages": MESSAGES + [{"role": "user", "content": "word " * 9000}], "stream": True, "max_tokens": 32})
    error = json.loads(text)["error"]
    assert status == 400 and error["type"] == "exceed_context_size_error" and error["n_prompt_tokens"] > error["n_ctx"] > 0


def check_llama_vscode_embeds():
    a = post("/v1/embeddings", {"input": BEFORE, "model": MODEL, "encoding_format": "float"})
    assert a["data"][0]["index"] == 0 and isinstance(a["data"][0]["embedding"][0], float) and a["usage"]["total_tokens"] > 0


# ---- Continue, 2026-06-18 -----------------------------------------------------------------------------------------------------------

STARCODER_STOPS = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<|endoftext|>", "</fim_middle>", "</code>", "/src/", "#- coding: utf-8", "```", "t.", "\nt", "<file_sep>"]


def check_continue_completes_by_template():
    """Providers openai and vllm: the StarCoder template as a prompt."""
    prompt = "<file_sep>import os\n<file_sep>" + MARKED
    lines = events("/v1/completions", {"model": MODEL, "max_tokens": 24, "temperature": 0.01, "stream": True, "stop": STARCODER_STOPS, "prompt": prompt}, Authorization="Bearer none", x_api_key="none")
    assert lines[-1] == "[DONE]" and all(isinstance(e["choices"][0]["text"], str) for e in decoded(lines))
    plain = post("/v1/completions", {"prompt": MARKED, "max_tokens": 1})
    assert plain["usage"]["prompt_tokens"] == count_of_marked(), "the marks are no tokens"


def check_continue_completes_by_llama_cpp():
    lines = events("/completion", {"model": MODEL, "prompt": MARKED, "stream": True, "n_predict": 24, "frequency_penalty": 0, "presence_penalty": 0, "min_p": 0, "mirostat": 0, "stop": STARCODER_STOPS, "top_k": 40, "top_p": 0.9, "temperature": 0.01},
                   Authorization="Bearer undefined")
    answers = decoded(lines)
    assert all(isinstance(e["content"], str) for e in answers) and answers[-1]["stop"] is True and answers[-1]["tokens_evaluated"] == count_of_marked()


def check_continue_fills_in():
    """Providers of Mistral's form."""
    lines = events("/v1/fim/completions", {"model": MODEL, "prompt": BEFORE, "suffix": AFTER, "max_tokens": 24, "temperature": 0.01, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "stop": ["```"], "stream": True},
                   Accept="application/json", x_api_key="none", Authorization="Bearer none")
    assert all(isinstance(e["choices"][0]["delta"]["content"], str) for e in decoded(lines))


def check_continue_chats():
    content = [{"type": "text", "text": "Explain add."}]
    lines = events("/v1/chat/completions", {"messages": [{"role": "user", "content": content}], "model": MODEL, "max_tokens": 12, "temperature": 0.5, "stream": True}, Authorization="Bearer none", api_key="none")
    assert all(isinstance(e["choices"][0]["delta"].get("content", ""), str) for e in decoded(lines)) and lines[-1] == "[DONE]"
    assert get("/v1/models")["data"][0]["max_model_len"] > 0                       # its vllm provider sets the context by this


def check_continue_by_ollama():
    assert "template" in post("/api/show", {"name": MODEL})
    options = {"temperature": 0.01, "num_predict": 24, "stop": ["```"], "num_ctx": 4096, "mirostat": 0, "min_p": 0}
    for more in ({"prompt": MARKED, "raw": True}, {"prompt": BEFORE, "suffix": AFTER}):
        _, kind, text = ask("POST", "/api/generate", {"model": MODEL, "options": options, "keep_alive": 1800, "stream": True, **more}, Authorization="Bearer none")
        lines = [json.loads(line) for line in text.splitlines()]
        assert kind == "application/x-ndjson" and all(isinstance(line["response"], str) for line in lines) and lines[-1]["done"] and lines[-1]["prompt_eval_count"] == count_of_marked(), lines[-1]
    _, _, text = ask("POST", "/api/chat", {"model": MODEL, "messages": MESSAGES, "options": options, "think": False, "keep_alive": 1800, "stream": True})
    assert all(json.loads(line)["message"]["role"] == "assistant" for line in text.splitlines())
    assert get("/api/tags")["models"][0]["name"] == MODEL and len(post("/api/embed", {"model": MODEL, "input": ["a", "b"]})["embeddings"]) == 2


# ---- Tabby's server, 2026-06-30: model backends by HTTP -----------------------------------------------------------------------------

def check_tabby_llama_cpp():
    seed = int(time.time() * 1000)
    lines = events("/completion", {"seed": seed, "prompt": MARKED, "n_predict": 64, "temperature": 0.1, "stream": True, "penalty_last_n": 0, "presence_penalty": 0.0})
    answers = decoded(lines)
    assert all(isinstance(e["content"], str) and isinstance(e["stop"], bool) for e in answers) and [e["stop"] for e in answers] == [False] * (len(answers) - 1) + [True]
    assert answers[-1]["tokens_evaluated"] == count_of_marked()


def check_tabby_openai_completion():
    lines = events("/v1/completions", {"model": MODEL, "prompt": BEFORE, "suffix": AFTER, "max_tokens": 64, "temperature": 0.1, "stream": True, "presence_penalty": 0.0})
    answers = decoded(lines)
    assert all(isinstance(e["choices"][0]["text"], str) for e in answers) and answers[-1]["choices"][0]["finish_reason"]
    assert events("/v1/completions", {"model": MODEL, "prompt": BEFORE, "suffix": None, "max_tokens": 4, "temperature": 0.1, "stream": True, "presence_penalty": 0.0})


def check_tabby_mistral():
    lines = events("/v1/fim/completions", {"prompt": BEFORE, "suffix": AFTER, "model": MODEL, "temperature": 0.1, "max_tokens": 64, "stream": True, "random_seed": int(time.time() * 1000)}, Authorization="Bearer none")
    answers = decoded(lines)
    assert all(isinstance(e["choices"][0]["delta"]["content"], str) for e in answers), "it stops at a delta without content"
    assert answers[-1]["choices"][0]["finish_reason"]


def check_tabby_embeddings():
    assert isinstance(post("/tokenize", {"content": "ab"})["tokens"], list)
    a = post("/embeddings", {"content": "ab\n\n"})
    assert isinstance(a, list) and isinstance(a[0]["embedding"][0][0], float)
    assert post("/v1/embeddings", {"input": "ab", "model": MODEL})["data"][0]["embedding"] == post("/embeddings", {"content": "ab"})[0]["embedding"][0]


# ---- llm-ls, 2026-04-07 (llm-vscode, llm.nvim, llm-intellij) ------------------------------------------------------------------------

def check_llm_ls_tgi():
    body = {"inputs": MARKED, "parameters": {"max_new_tokens": 60, "temperature": 0.2, "top_p": 0.95, "return_full_text": False}}
    a = post("/generate", body, User_Agent="llm-ls/0.5.3; rust/unknown; ide/VSCode", Authorization="Bearer none")
    assert sorted(a) == ["generated_text"] and not a["generated_text"].startswith("<fim_prefix>")
    whole = post("/generate", {**body, "parameters": {**body["parameters"], "details": True, "decoder_input_details": True}})
    assert len(whole["details"]["prefill"]) == count_of_marked() and whole["details"]["seed"] is not None, "a temperature alone means sampling"
    status, _, text = ask("POST", "/generate", {"inputs": MARKED, "parameters": {"max_new_tokens": -3}})
    assert status == 422 and isinstance(json.loads(text)["error"], str)
    listed = post("/", body)                                                       # its backend "huggingface" takes a list
    assert isinstance(listed, list) and isinstance(listed[0]["generated_text"], str)


def check_llm_ls_openai_and_llama_cpp():
    a = post("/v1/completions", {"max_tokens": 60, "temperature": 0.2, "top_p": 0.95, "prompt": MARKED, "model": MODEL, "stream": False})
    assert isinstance(a["choices"][0]["text"], str) and a["usage"]["prompt_tokens"] == count_of_marked()


def check_llm_ls_ollama():
    a = post("/api/generate", {"options": {"num_predict": 60, "temperature": 0.2, "top_p": 0.95}, "prompt": MARKED, "model": MODEL, "stream": False})
    assert isinstance(a["response"], str)


checks.run("editors", globals())
