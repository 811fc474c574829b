#!/usr/bin/env python3
"""Running the server: settings from flags, environment and file; keys made and read again; what systemd is told; what a locked-down server still
does and what it does not. The model is a tiny random one. Usage: test_serve_ops.py [PROGRAM]. Last line: "N passed, N failed"."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-ops-"))
MODEL = str(SCRATCH / "model")
SANITIZED = bool(os.environ.get("STARCHAT_SANITIZED"))
WAIT = 120


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("STARCHAT_SERVE_") and k not in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "NOTIFY_SOCKET")}
    env.update(STARCHAT_HOME=str(SCRATCH / "home"), HOME=str(SCRATCH), LC_ALL="C.UTF-8", **more)
    return env


def run(*args, **env):
    return subprocess.run([PROGRAM, *args], env=environment(**env), capture_output=True, text=True, timeout=WAIT, cwd=SCRATCH)


def check(*args, **env):
    """The effective configuration."""
    r = run("serve", *args, "--check", **env)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def refused(*args, **env):
    r = run("serve", *args, "--check", **env)
    assert r.returncode == 2 and not r.stdout and r.stderr.count("\n") == 1, (r.returncode, r.stdout, r.stderr)
    return r.stderr


def write(name, text, mode=0o600):
    path = SCRATCH / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


class Server:
    def __init__(self, *args, **env):
        self.log = open(SCRATCH / "log", "w+")
        self.process = subprocess.Popen([PROGRAM, "serve", *args], env=environment(**env), stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=SCRATCH)
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.text()

    def text(self):
        return (SCRATCH / "log").read_text()

    def events(self, name):
        return [e for e in (json.loads(line) for line in self.text().splitlines() if line.startswith("{")) if e["event"] == name]

    def wait_event(self, name, n=1):
        end = time.monotonic() + WAIT
        while len(self.events(name)) < n:
            assert time.monotonic() < end and self.process.poll() is None, (name, self.text())
            time.sleep(0.02)
        return self.events(name)[-1]

    def get(self, path, key=None, body=None):
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), {"Content-Type": "application/json", **({"Authorization": "Bearer " + key} if key else {})})
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as r:
                return r.status, json.loads(r.read())
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT)
        self.log.close()
        assert code == 0, (code, self.text())

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            self.process.kill()
            self.process.wait()
        else:
            self.stop()


# ---- settings -----------------------------------------------------------------------------------------------------------------------------

def test_flag_over_environment_over_file_over_default():
    path = write("a.yaml", "model: from-file\nport: 1001\nqueue: 1002\nthreads: 3\nprompt_cache_mib: 7\ntemplate: chatml\n")
    plain = check("m")
    assert plain["model"] == "m" and plain["port"] == 8080 and plain["queue"] == 256 and plain["lockdown"] is True and plain["threads"] == 0
    of_file = check("--config", path)
    assert (of_file["model"], of_file["port"], of_file["queue"], of_file["threads"], of_file["prompt_cache_mib"], of_file["template"]) == ("from-file", 1001, 1002, 3, 7, "chatml")
    assert of_file["body_mib"] == 8
    both = check("--config", path, STARCHAT_SERVE_PORT="2001", STARCHAT_SERVE_MODEL="from-environment")
    assert (both["model"], both["port"], both["queue"]) == ("from-environment", 2001, 1002)
    three = check("m", "--config", path, "--port", "3001", "--threads=5", STARCHAT_SERVE_PORT="2001", STARCHAT_SERVE_QUEUE="2002")
    assert (three["model"], three["port"], three["queue"], three["threads"]) == ("m", 3001, 2002, 5)
    assert check("m", STARCHAT_SERVE_PORT="", STARCHAT_SERVE_LOCKDOWN="off", STARCHAT_SERVE_ALLOW_PUBLIC="1")["port"] == 8080
    assert check("m", STARCHAT_SERVE_LOCKDOWN="off")["lockdown"] is False
    assert check("m", "--lockdown", STARCHAT_SERVE_LOCKDOWN="off")["lockdown"] is True


def test_lists_and_maps():
    path = write("b.yaml", "model: m\nalias: [gpt-4o, x]\nadapters:\n  tuned: runs/demo\n  sql: runs/sql\nallowed_hosts:\n- a.example\n- b.example\n")
    found = check("--config", path)
    assert (found["alias"], found["adapters"], found["allowed_hosts"]) == ("gpt-4o,x", "tuned=runs/demo,sql=runs/sql", "a.example,b.example")


def test_what_is_printed_can_be_read_again():
    first = check("m", "--stretch", "1.1", "--alias", "a,b", "--no-page", "--memory-limit", "123456789012")
    path = write("c.yaml", json.dumps({k: v for k, v in first.items()}))
    assert check("--config", path) == first


def test_mistakes_name_their_place():
    def of(text, **env):
        return refused("--config", write("d.yaml", text), **env)
    assert re.search(r'd.yaml, line 2: unknown key "prot"; did you mean "port"\?', of("model: m\nprot: 1\n"))
    assert 'unknown key "modle"; did you mean "model"?' in of("modle: m\n")
    assert 'unknown key "thread"; did you mean "threads"?' in of("model: m\nthread: 1\n")
    assert "d.yaml, line 3: port is 99999, expected 0 to 65535" in of("model: m\n\nport: 99999\n")
    assert "d.yaml, line 2: port is \"many\", expected a whole number" in of("model: m\nport: many\n")
    assert "d.yaml, line 2: port is a list, expected one value" in of("model: m\nport: [1, 2]\n")
    assert "d.yaml, line 2: alias is a map, expected a list" in of("model: m\nalias: {a: b}\n")
    assert "d.yaml, line 1: model is a list, expected one value" in of("model: [a]\n")
    assert 'unknown key "check"' in of("model: m\ncheck: true\n") and 'unknown key "quiet"' in of("model: m\nquiet: true\n")
    assert "not valid YAML" in of("model: m\nport: [\n")
    assert "a part of it holds a comma" in of("model: m\nalias: ['a,b']\n")
    assert "/nowhere.yaml" in refused("--config", "/nowhere.yaml")
    assert "MODEL is missing" in of("port: 1\n") and "MODEL is missing" in refused()
    assert "unknown variable STARCHAT_SERVE_PROT of the environment; did you mean STARCHAT_SERVE_PORT?" in refused("m", STARCHAT_SERVE_PROT="1")
    assert "unknown variable STARCHAT_SERVE_THREADS" in refused("m", STARCHAT_SERVE_THREADS="1")
    assert "STARCHAT_SERVE_PORT: port is \"x\", expected a whole number" in refused("m", STARCHAT_SERVE_PORT="x")
    # A value that another place wins over is judged too.
    assert "STARCHAT_SERVE_PORT" in refused("m", "--port", "1", STARCHAT_SERVE_PORT="x")
    assert "line 2: port" in of("model: m\nport: x\n", STARCHAT_SERVE_PORT="1")


def test_check_looks_at_keys_and_address():
    assert "can be reached from other machines, and there are no keys" in refused("m", "--host", "0.0.0.0")
    assert "chmod 600" in refused("m", "--api-key-file", write("open", "0123456789abcdef\n", 0o644))
    assert "/nowhere" in refused("m", "--api-key-file", "/nowhere")
    assert check("m", "--host", "0.0.0.0", "--api-key-file", write("shut", "0123456789abcdef\n"))["host"] == "0.0.0.0"


# ---- keys ------------------------------------------------------------------------------------------------------------------------------------

def test_new_keys_and_sighup():
    path = str(SCRATCH / "keys")
    first = run("key", "new", "--file", path, "--name", "one")
    key = first.stdout.strip()
    assert re.fullmatch(r"sc-[0-9a-f]{48}", key) and key not in pathlib.Path(path).read_text() and "only time" in first.stderr
    assert run("key", "new").returncode == 2 and run("key", "new", "--file", path, "--name", "a\tb").returncode == 1
    with Server(MODEL, "--port", "0", "--api-key-file", path) as s:
        assert s.get("/v1/models", key)[0] == 200 and s.get("/v1/models")[0] == 401
        kept = socket.create_connection(("127.0.0.1", int(s.url.rsplit(":", 1)[1])))
        def ask(key):
            kept.sendall(f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                part = kept.recv(65536)
                assert part, answer
                answer += part
            return int(answer.split()[1])
        assert ask(key) == 200
        second = run("key", "new", "--file", path, "-q").stdout.strip()
        assert ask(second) == 401
        s.process.send_signal(signal.SIGHUP)
        assert s.wait_event("keys")["keys"] == 2
        assert ask(second) == 200 and ask(key) == 200, "the connection stays"
        lines = pathlib.Path(path).read_text().splitlines()
        with open(path, "w") as f:
            f.write(lines[1] + "\n")                            # one is taken away
        s.process.send_signal(signal.SIGHUP)
        s.wait_event("keys", 2)
        assert ask(key) == 401 and ask(second) == 200
        os.truncate(path, 0)
        s.process.send_signal(signal.SIGHUP)
        bad = s.wait_event("keys", 3)
        assert bad["level"] == "error" and "holds no key" in bad["text"] and ask(second) == 200, "what cannot be used changes nothing"
        kept.close()


# ---- the service manager -----------------------------------------------------------------------------------------------------------------------

def test_systemd_is_told():
    for name in (str(SCRATCH / "notify"), "@starchat-test-%d" % os.getpid()):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(name.replace("@", "\0"))
        listener.settimeout(WAIT)
        with Server(MODEL, "--port", "0", "--name", "told", NOTIFY_SOCKET=name):
            assert listener.recv(4096).decode().splitlines()[0] == "READY=1"
        assert listener.recv(4096).decode().splitlines()[0] == "STOPPING=1"
        listener.close()


# ---- locked down ---------------------------------------------------------------------------------------------------------------------------------

def status_of(pid, tid):
    return dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/task/{tid}/status").read_text().splitlines() if ":" in line)


def test_a_locked_down_server_does_all_that_it_should():
    path = str(SCRATCH / "run.sock")
    keys = write("keys2", "0123456789abcdef\n")
    with Server(MODEL, "--port", "0", "--api-key-file", keys, "--prompt-cache-seconds", "0") as s:
        told = s.wait_event("lockdown")
        if SANITIZED:
            assert told["level"] == "warn" and "sanitizer" in told["missing"]
        else:
            for tid in os.listdir(f"/proc/{s.process.pid}/task"):
                status = status_of(s.process.pid, tid)
                assert not told["seccomp"] or (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1"), status
            limits = pathlib.Path(f"/proc/{s.process.pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0", limits), limits
        text = "word number one is here and two. " * 30
        first = s.get("/v1/completions", "0123456789abcdef", {"prompt": text, "max_tokens": 3, "seed": 1})
        assert first[0] == 200, first
        second = s.get("/v1/completions", "0123456789abcdef", {"prompt": text, "max_tokens": 3, "seed": 1})
        assert second[0] == 200 and second[1]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0 and first[1]["choices"][0]["text"] == second[1]["choices"][0]["text"]
        talk = s.get("/ui/conversations", "0123456789abcdef", {"title": "kept"})
        assert talk[0] == 200, talk
        assert s.get("/ui/conversations", "0123456789abcdef")[1]["conversations"][0]["title"] == "kept"
        assert s.get("/ui/conversations?q=kep", "0123456789abcdef")[1]["conversations"]
    with Server(MODEL, "--host", "unix:" + path, "--prompt-cache-seconds", "0") as s:
        assert os.path.exists(path)
        body = json.dumps({"prompt": text, "max_tokens": 3}).encode()
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        one.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = b"".join(iter(lambda: one.recv(65536), b""))
        assert b" 200 OK" in answer, answer
    assert not os.path.exists(path), "the socket is removed"
    assert list((SCRATCH / "home/prompt-cache").glob("*.kv")), "what was read is kept"
    with Server(MODEL, "--port", "0", "--prompt-cache-seconds", "0") as s:
        s.get("/v1/completions", None, {"prompt": text, "max_tokens": 3})
        with urllib.request.urlopen(s.url + "/metrics") as r:
            assert int(re.search(rb"starchat_prompt_tokens_disk_total (\d+)", r.read())[1]) > 0, "and found again"
        assert s.get("/ui/conversations")[1]["conversations"][0]["title"] == "kept"


def test_without_lockdown_there_is_a_warning():
    with Server(MODEL, "--port", "0", "--no-lockdown") as s:
        assert "warning: --no-lockdown leaves this server all files" in s.text() and not s.events("lockdown")
        assert status_of(s.process.pid, s.process.pid)["Seccomp"].strip() == status_of(os.getpid(), os.getpid())["Seccomp"].strip()


def test_files_are_raised_to_the_connections():
    with Server(MODEL, "--port", "0", "--connections", "3000") as s:
        soft = int(re.search(r"Max open files +(\d+)", pathlib.Path(f"/proc/{s.process.pid}/limits").read_text())[1])
        hard = int(re.search(r"Max open files +\d+ +(\d+)", pathlib.Path(f"/proc/{s.process.pid}/limits").read_text())[1])
        assert soft >= min(3064, hard) and (soft >= 3064 or s.events("files"))


def main():
    config = json.loads((BYTES / "config.json").read_text())
    config["max_position_embeddings"] = 4096
    (SCRATCH / "config.json").write_text(json.dumps(config))
    subprocess.run([PROGRAM, "init", str(SCRATCH / "config.json"), MODEL, "--tokenizer", str(BYTES / "tokenizer.json"), "--seed", "1", "-q"], check=True, env=environment())
    passed = failed = 0
    only = sys.argv[2:]
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        try:
            test()
            passed += 1
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
