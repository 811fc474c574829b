#!/usr/bin/env python3
"""What the sandbox has to hold: hostile programs and cheats. Usage: run.py JUDGE [PART OF A NAME]. Last line: "N passed, N failed".

hostile/*: each says in its head how it ends inside, and what it does outside. Inside it must not print REACHED; outside it must, so that a program
that never worked does not count as held: "yes" as anybody, "root" as root, "scratch" against a directory of its own, "mild" a harmless size;
"maybe" depends on the machine and is run but not required, "never" would harm. cheats/*: none may pass; honest.py has to. In plain mode, which
defends the verdict against accidents only, a cheat may pass where its head says so.
If no sandbox can be had here, this says so in one line, and nothing fails."""
import glob, json, os, re, shutil, socket, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
judge, part = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
SLOW = 4 if os.environ.get("STARCHAT_SANITIZED") else 1
TESTS = """
import math, json, copy
def check(candidate):
    assert candidate([1, 2, 3]) == [1, 4, 9]
    assert candidate([]) == []
    assert len(candidate([5, 6])) == 2 and all(type(n) is int for n in candidate([5, 6]))
    given = [7]
    assert candidate(given) == [n * n for n in [7]] and given == [7]
    assert sorted(candidate([-2, 3])) == [4, 9]
check(square_all)
"""
passed, failed = 0, 0


def tell(good, name, why=""):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    if not good:
        print("FAILED %s: %s" % (name, why), flush=True)


def can_isolate():
    bwrap = shutil.which("bwrap")
    return bool(bwrap) and subprocess.run([bwrap, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"], stderr=subprocess.DEVNULL).returncode == 0


def run_jobs(jobs):
    p = subprocess.run([judge, str(min(4, 2 * len(os.sched_getaffinity(0)))), "gcc", "node"], input="".join(json.dumps(j) + "\n" for j in jobs), stdout=subprocess.PIPE, text=True)
    out = {}
    for line in p.stdout.splitlines():
        result = json.loads(line)
        if "refused" in result:
            # Allowed to be missing: bubblewrap itself, and what it needs of the kernel. Where it can make a namespace, a refusal is a failure.
            if can_isolate():
                print("FAILED: " + result["refused"])
                print("0 passed, 1 failed")
                sys.exit(1)
            print("skipped: " + result["refused"])
            print("0 passed, 0 failed")
            sys.exit(0)
        out[result["id"]] = result
    return out


def head(text, key, fallback=""):
    found = re.search(r"%s: (.*?)(?: \*/)?$" % key, text, re.M)
    return found.group(1).strip() if found else fallback


class Host:
    """What programs look for outside: a server, sockets, a secret, a key."""
    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix="starchat-hostile-")
        os.chmod(self.scratch, 0o755)
        os.mkdir(self.scratch + "/.ssh")
        for name in ("secret", ".ssh/id_secret"):
            with open(os.path.join(self.scratch, name), "w") as f:
                f.write("secret")
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        self.abstract = "starchat-%d" % os.getpid()
        self.unix[0].bind(self.scratch + "/socket")
        self.unix[1].bind("\0" + self.abstract)
        for s in self.unix:
            s.listen(64)
        self.mark = "starchat-mark-%d" % os.getpid()

    def fill(self, text):
        for key, value in (("SCRATCH", self.scratch), ("TREE", TREE), ("PORT", self.tcp.getsockname()[1]), ("ABSTRACT", self.abstract), ("MARK", self.mark)):
            text = text.replace("@%s@" % key, str(value))
        return text

    def survivors(self):
        found = []
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and self.mark.encode() in open("/proc/%s/cmdline" % pid, "rb").read():
                    found.append(pid)
            except OSError:
                pass
        return found


def inside_job(host, name, text):
    wall = float(head(text, "wall", "3")) * SLOW
    source = host.fill(text)
    if name.endswith(".c"):
        return {"id": name, "argv": ["@gcc", "-w", "-O1", "-o", "program", "source.c"], "tools": ["gcc"], "files": {"source.c": source}, "keep": ["program"], "wall": 20 * SLOW,
                "then": {"argv": ["/tmp/job/program"], "wall": wall, "memory": 256 << 20}}
    return {"id": name, "argv": ["@python3", "-S", "-B", "program.py"], "tools": ["python3"], "files": {"program.py": source}, "wall": wall, "memory": 256 << 20}


def run_outside(host, name, text):
    how = head(text, "outside")
    if how == "never" or (how == "root" and os.geteuid() != 0) or (name.endswith(".c") and not shutil.which("gcc")):
        return
    place = tempfile.mkdtemp(prefix="place-", dir=host.scratch)
    with open(host.scratch + "/secret") as f, open(place + "/secret", "w") as g:
        g.write(f.read())
    env = dict(os.environ, HOSTILE_SECRET="key", HOSTILE_HOME=host.scratch)
    if how == "scratch":
        env["HOSTILE_SCRATCH"] = place
    if how == "mild":
        env["HOSTILE_MILD"] = "1"
    path = os.path.join(host.scratch, name)
    with open(path, "w") as f:
        f.write(host.fill(text))
    argv = [sys.executable, "-S", "-B", path]
    if name.endswith(".c"):
        subprocess.run(["gcc", "-w", "-O1", "-o", path + ".out", path], check=True)
        argv = [path + ".out"]
    out = ""
    try:
        with open("/dev/null") as held:
            p = subprocess.run(argv, input="x\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=place, timeout=20, pass_fds=[held.fileno()], errors="replace")
        out = p.stdout[-100:] + p.stderr[-200:]
    except subprocess.TimeoutExpired:
        out = "took too long"
    tell("REACHED" in out or how == "maybe", name + " outside", "it does not work outside either: " + out.strip()[-200:])


def hostile():
    host = Host()
    programs = {os.path.basename(p): open(p).read() for p in sorted(glob.glob(HERE + "/hostile/*")) if part in p}
    try:
        jobs = [inside_job(host, n, t) for n, t in programs.items()]
        # Toolchains that need /proc get one: it must show nothing either.
        jobs += [dict(j, id="proc " + j["id"], tools=["python3", "node"]) for j in jobs if "proc" in j["id"] and shutil.which("node")]
        results = run_jobs(jobs)
        for id, r in results.items():
            if id.startswith("proc "):
                tell("REACHED" not in r["stdout"] and r["outcome"] == "exited", id + " inside", json.dumps(r))
        for name, text in programs.items():
            r = results[name]
            if name.endswith(".c"):
                if "error" in r and not shutil.which("gcc"):
                    continue
                tell("then" in r, name + " compiled inside", json.dumps(r))
                r = r.get("then", {"stdout": "", "stderr": ""})
            good = r.get("outcome") in head(text, "inside").split() and "REACHED" not in r["stdout"]
            tell(good, name + " inside", json.dumps(r))
            if name.endswith(".c"):
                continue
            if "SyntaxError" in r["stderr"] or "NameError" in r["stderr"] or "ImportError" in r["stderr"]:
                tell(False, name + " inside", "it is wrong itself: " + r["stderr"][-200:])
        deadline = time.time() + 2
        while host.survivors() and time.time() < deadline:
            time.sleep(0.05)
        tell(not host.survivors(), "survivors", "processes of a sandbox live on: %s" % host.survivors())
        queue = list(programs.items())
        def work():
            while queue:
                try:
                    run_outside(host, *queue.pop(0))
                except IndexError:
                    return
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        shutil.rmtree(host.scratch, ignore_errors=True)
    print("ok     %d hostile programs" % len(programs), flush=True)


def cheats():
    sources = {os.path.basename(p): open(p).read() for p in sorted(glob.glob(HERE + "/cheats/*.py")) if part in p}
    common = {"entry": "square_all", "tests": TESTS, "call_seconds": 2 * SLOW, "total_seconds": 5 * SLOW, "memory": 1 << 30}
    jobs = [dict(common, id=n, candidate=s) for n, s in sources.items()]
    jobs += [dict(common, id="plain " + n, candidate=s, mode="plain", total_seconds=3 * SLOW) for n, s in sources.items()]
    results = run_jobs(jobs)
    for name, source in sources.items():
        r, plain = results[name], results["plain " + name]
        tell((r.get("outcome") == "pass") == (name == "honest.py") and "outcome" in r and r["outcome"] != "setup-error", name, json.dumps(r))
        tell(plain.get("outcome") != "pass" or head(source, "plain") == "pass", name + " in plain mode", json.dumps(plain))
    tell(results.get("plain honest.py", {}).get("outcome", "pass") == "pass", "honest.py in plain mode")
    print("ok     %d cheats" % (len(sources) - ("honest.py" in sources)), flush=True)


begun = time.time()
hostile()
cheats()
print("ok     in %.1f s" % (time.time() - begun))
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
