"""What the Python scripts of this folder share: settings of the run, and one line for each check."""
import json
import os
import sys
import time
import traceback
import urllib.request

SETTINGS = json.loads(os.environ["STARCHAT_CLIENTS"])
URL, MODEL = SETTINGS["url"], SETTINGS["model"]


class Skip(Exception):
    pass


def only_tiny():
    """For checks that want many tokens, or a model whose every answer is known to be long."""
    if not SETTINGS["tiny"]:
        raise Skip("needs the small random model")


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def metric(name, url=URL):
    """A figure of the server, 0 if it has none of that name; asked with the standard library, so that no client's pool of connections matters."""
    request = urllib.request.Request(url + "/metrics", headers={"Authorization": "Bearer " + SETTINGS["key"]})
    text = urllib.request.urlopen(request, timeout=20).read().decode()
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"starchat_{name} ")), 0)


def run(client, checks):
    """Runs functions whose names begin with check_, in the order in which they stand."""
    print(f"client {client}")
    bad = 0
    for name, check in list(checks.items()):
        if not name.startswith("check_"):
            continue
        name = name[6:].replace("_", " ")
        begun = time.monotonic()
        try:
            check()
            print(f"ok {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Skip as e:
            print(f"skipped {name}: {e}", flush=True)
        except Exception:
            bad += 1
            frame = traceback.extract_tb(sys.exc_info()[2])[1]
            print(f"FAILED {name}: line {frame.lineno}: {' '.join(traceback.format_exc(limit=0).split())[:600]}", flush=True)
    sys.exit(bad != 0)
