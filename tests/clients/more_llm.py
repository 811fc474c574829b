"""The command llm, unmodified, set up for the server as docs/serving.md says."""
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import checks
from checks import MODEL, URL

HOME = tempfile.TemporaryDirectory(prefix="starchat-llm-")
(pathlib.Path(HOME.name) / "extra-openai-models.yaml").write_text(f"""\
- model_id: starchat
  model_name: {MODEL}
  api_base: {URL}/v1
  supports_schema: true
- model_id: starchat-text
  model_name: {MODEL}
  api_base: {URL}/v1
  completion: true
""")


def llm(*line, stdin=""):
    done = subprocess.run([str(pathlib.Path(sys.executable).parent / "llm"), *line], input=stdin.encode(), capture_output=True, timeout=120,
                          env={**os.environ, "LLM_USER_PATH": HOME.name, "OPENAI_API_KEY": "none", "HOME": HOME.name})
    assert done.returncode == 0, done.stderr.decode()[-300:]
    return done.stdout.decode("utf-8")


def check_models():
    assert "starchat" in llm("models")


def check_prompt():
    streamed = llm("-m", "starchat", "Say hello.", "-o", "max_tokens", "12", "-o", "seed", "5")
    assert streamed and streamed == llm("-m", "starchat", "Say hello.", "-o", "max_tokens", "12", "-o", "seed", "5", "--no-stream")
    assert llm("-m", "starchat", "-s", "You are brief.", "-o", "max_tokens", "12", stdin="a file\n")


def check_continued():
    llm("-m", "starchat", "-c", "And again.", "-o", "max_tokens", "4")
    rows = json.loads(llm("logs", "--json", "-n", "2"))
    assert len({row["conversation_id"] for row in rows}) == 1 and len(rows) == 2


def check_schema():
    answer = llm("-m", "starchat", "--schema", '{"type":"object","properties":{"colour":{"enum":["red","green"]}},"required":["colour"],"additionalProperties":false}', "A colour", "-o", "seed", "5")
    assert json.loads(answer)["colour"] in ("red", "green")


def check_text():
    assert isinstance(llm("-m", "starchat-text", "def fib(n):", "-o", "max_tokens", "8"), str)


checks.run(f"llm {importlib.metadata.version('llm')}", globals())
