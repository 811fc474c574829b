"""The chat page in a real browser: opens it, sends a message, waits for the answer, loads it again. Standard library only; drives
Debian's Chromium over two pipes, so that nothing listens. Skipped where the server has no page or the machine no browser."""
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import checks
from checks import URL, Skip

COMMAND = os.environ.get("CHROMIUM") or shutil.which("chromium")


class Browser:
    def __init__(self, home):
        high = lambda fd: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)          # so that 3 and 4 are free in the child
        (read_there, self.write), (self.read, write_there) = map(lambda p: tuple(map(high, p)), (os.pipe(), os.pipe()))

        def place():
            os.dup2(read_there, 3)
            os.dup2(write_there, 4)
        self.process = subprocess.Popen(
            [COMMAND, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-extensions", f"--user-data-dir={home}/profile", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(home)})
        os.close(read_there)
        os.close(write_there)
        self.buffer, self.asked, self.events, self.session = b"", 0, [], None

    def next_message(self, end):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(0, end - time.monotonic()))
            data = os.read(self.read, 1 << 16) if ready else b""
            assert data, "the browser ended" if ready else "the browser does not answer"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def ask(self, method, seconds=30, **params):
        self.asked += 1
        request = {"id": self.asked, "method": method, "params": params, **({"sessionId": self.session} if self.session else {})}
        os.write(self.write, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            message = self.next_message(end)
            if message.get("id") == self.asked:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def value(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            time.sleep(0.05)

    def close(self):
        try:
            os.write(self.write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def complaints(events):
    """Errors of the console, scripts that threw, and requests that leave the server."""
    bad = []
    for e in events:
        p, method = e.get("params", {}), e.get("method")
        if method == "Runtime.exceptionThrown":
            bad.append("script: " + p["exceptionDetails"].get("exception", {}).get("description", p["exceptionDetails"]["text"])[:200])
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "assert"):
            bad.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in p["args"])[:200])
        elif method == "Log.entryAdded" and p["entry"]["level"] == "error":
            bad.append("log: " + p["entry"]["text"][:200] + " " + p["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent" and not p["request"]["url"].startswith((URL + "/", "data:", "blob:", "about:")):
            bad.append("request to " + p["request"]["url"][:200])
    return bad


def start():
    try:
        with urllib.request.urlopen(URL + "/", timeout=20) as r:
            assert r.headers["Content-Type"].startswith("text/html"), r.headers["Content-Type"]
    except urllib.error.HTTPError as e:
        raise Skip(f"GET / answers {e.code}: no page in this program")
    if not COMMAND:
        raise Skip("no chromium (apt-get install chromium)")


def check_page_in_a_browser():
    start()
    with tempfile.TemporaryDirectory(prefix="starchat-page-", ignore_cleanup_errors=True) as home:
        b = Browser(home)
        try:
            talk(b)
        finally:
            b.close()


def talk(b):
    b.session = b.ask("Target.attachToTarget", targetId=b.ask("Target.createTarget", url="about:blank")["targetId"], flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log"):
        b.ask(domain + ".enable")
    b.ask("Page.addScriptToEvaluateOnNewDocument", source="localStorage.setItem('starchat.newChat', '{\"settings\":{\"max_tokens\":24}}')")
    b.ask("Page.navigate", url=URL + "/")
    b.wait("document.querySelector('textarea[aria-label=Message], textarea') !== null && document.querySelector('select option') !== null")
    b.value("document.querySelector('textarea').focus()")
    b.ask("Input.insertText", text="Say hello to the page")
    b.wait("document.querySelector('button[aria-label=Send]')?.disabled === false")
    for kind in ("rawKeyDown", "char", "keyUp"):
        b.ask("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **({"text": "\r"} if kind == "char" else {}))
    answered = "document.querySelector('.message.answer') !== null && document.querySelector('[data-status=generating]') === null && document.querySelector('.message.answer').innerText.trim().length > 0"
    b.wait("document.querySelector('.message.user')?.innerText.includes('Say hello to the page')")
    b.wait(answered, 60)
    first = b.value("document.querySelector('.message.answer').innerText")
    b.ask("Page.reload")
    b.wait("document.readyState === 'complete'")
    b.wait(answered)                                                        # the server kept the conversation
    assert b.value("document.querySelector('.message.user').innerText").find("Say hello to the page") >= 0 and first
    assert b.value("location.hash").startswith("#/c/")
    bad = complaints(b.events)
    assert not bad, bad


def version():
    return subprocess.run([COMMAND, "--version"], capture_output=True, text=True).stdout.split()[1] if COMMAND else "(none)"


if __name__ == "__main__":
    checks.run(f"Chromium {version()}", globals())
