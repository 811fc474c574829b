"""The half of a Hugging Face Hub that takes uploads, mixed into the fake of fake_hub.py: repositories with commits, branches and pull
requests, modes, the batch API of large files with one piece or parts, commits. It is as strict as the real one is known to be: the token's
rights, content types, base64, sizes, digests, the order (an object must be there before a commit names it), and the token must never
come to the store of large files. What breaks these rules is refused, and written down in `broken`.

Protocol as described by huggingface_hub's source; nothing here is copied from it.
"""
import base64
import fnmatch
import hashlib
import json
import re
import sys
import threading
import time
import traceback
import uuid
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from fake_hub import FakeHub, Handler, Request, git_sha1, sha256

LFS_TYPE = "application/vnd.git-lfs+json"
ENDINGS = ["7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gz", "h5", "joblib", "lfs.*", "mlmodel", "model", "msgpack", "npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar",
           "safetensors", "tar.*", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst"]
ATTRIBUTES = "".join("*.%s filter=lfs diff=lfs merge=lfs -text\n" % e for e in ENDINGS) + "*tfevents* filter=lfs diff=lfs merge=lfs -text\n"


def tracks(attributes, path):
    """Whether the last line that speaks of the path gives it to the large file store."""
    found = False
    for line in attributes.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        pattern = re.sub(r"\\(.)", r"[\1]", words[0].replace("[[:space:]]", " ")).lstrip("/")
        if fnmatch.fnmatch(path if "/" in pattern else path.rsplit("/", 1)[-1], pattern):
            for word in words[1:]:
                found = True if word == "filter=lfs" else False if word.startswith("filter=") or word == "-filter" else found
    return found


class Commit:
    def __init__(self, parent, files, title):
        self.parent, self.files, self.title = parent, files, title        # path -> ("regular", bytes) or ("lfs", oid, size)
        text = json.dumps([parent, title, sorted((p, f[0], git_sha1(f[1]) if f[0] == "regular" else f[1]) for p, f in files.items()), str(uuid.uuid4())])
        self.oid = hashlib.sha1(text.encode()).hexdigest()


class Stored:
    """A repository that takes commits."""

    def __init__(self, private):
        first = Commit(None, {".gitattributes": ("regular", ATTRIBUTES.encode())}, "initial commit")
        self.private, self.commits, self.branches, self.pulls = private, {first.oid: first}, {"main": [first.oid]}, []

    def head(self, branch="main"):
        return self.commits[self.branches[branch][-1]]

    def state(self, branch="main"):
        """What can be compared: path -> mode, digest, size."""
        return {p: ("regular", git_sha1(f[1]), len(f[1])) if f[0] == "regular" else f for p, f in self.head(branch).files.items()}


class UploadHandler(Handler):
    def do_POST(self):
        self.take()

    def do_PUT(self):
        self.take()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        hub = self.server.hub
        match = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/revision/(.+))?", path)
        tree = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+?)/tree/(.+)", path)
        if tree and (tree[1], tree[2]) in hub.stored:
            return self.logged(lambda: self.send_stored_tree(hub.stored[tree[1], tree[2]], tree[3]))
        raw = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if self.server.role == "hub" and path == "/api/whoami-v2" and self.rights():
            return self.reply(200, {"name": "alice", "type": "user", "auth": {"accessToken": {"role": self.rights()}}})
        if match and (match[1], match[2]) in hub.stored:
            return self.logged(lambda: self.send_info((match[1], match[2]), match[3] or "main"))
        if match and match[2] not in hub.repos:
            return self.logged(lambda: self.reply(404, {"error": "Repository not found"}, [("X-Error-Code", "RepoNotFound")]))
        if raw and ("datasets" if raw[1] else "models", raw[2]) in hub.stored:
            return self.logged(lambda: self.send_stored(hub.stored["datasets" if raw[1] else "models", raw[2]], raw[3], raw[4]))
        return super().do_GET()

    # ---- small things ----------------------------------------------------------------------------------------------------

    def logged(self, then):
        with self.server.hub.lock:
            self.server.hub.log.append(Request(self))
        return then()

    def reply(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def broke(self, what, status=400):
        with self.server.hub.lock:
            self.server.hub.broken.append("%s %s: %s" % (self.command, urlsplit(self.path).path, what))
        self.reply(status, {"error": what})

    def rights(self):
        """"write", "read" or None."""
        return self.server.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def may_write(self):
        rights = self.rights()
        if rights == "write":
            return True
        if rights is None:
            self.reply(401, {"error": "Invalid username or password."})
        else:
            self.reply(403, {"error": "You don't have the required permissions"}, [("X-Error-Message", "the token has no write access")])
        return False

    def read_body(self):
        length = int(self.headers.get("Content-Length", 0))
        if self.headers.get("Transfer-Encoding"):
            return None
        return self.rfile.read(length)

    def upload_fault(self, path):
        hub = self.server.hub
        with hub.lock:
            for part, faults in hub.upload_faults.items():
                if part in path and faults:
                    return faults.pop(0)
        return None

    # ---- the way in ------------------------------------------------------------------------------------------------------

    def take(self):
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        try:
            body = self.read_body()
            with hub.lock:
                hub.log.append(Request(self))
                hub.received += len(body or b"")
            if body is None or len(body) != int(self.headers.get("Content-Length", 0)):
                self.close_connection = True
                return None
            if hub.pause:
                time.sleep(hub.pause)
            fault = self.upload_fault(path)
            if fault and fault[0] == "status":
                return self.reply(fault[1], {"error": "on purpose"}, fault[2:])
            if fault and fault[0] == "cut":
                self.close_connection = True
                return None
            answer = self.take_content(path, body) if self.server.role == "content" else self.take_hub(path, body)
            return answer
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def take_hub(self, path, body):
        hub = self.server.hub
        if path == "/api/validate-yaml":
            is_wrong = "license: nonsense" in json.loads(body)["content"]
            return self.reply(400, {"warnings": [], "errors": [{"message": '"license" must be one of [apache-2.0, ...]'}]}) if is_wrong else self.reply(200, {"warnings": [], "errors": []})
        if path.startswith("/complete/"):
            return self.take_complete(path.split("/")[2], body)
        if not self.may_write():
            return None
        kind = self.headers.get("Content-Type", "").split(";")[0]
        if path == "/api/repos/create":
            return self.take_create(json.loads(body)) if kind == "application/json" else self.broke("not JSON")
        match = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path)
        batch = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        verify = re.fullmatch(r"/verify/([0-9a-f]{64})", path)
        key = (match[1], match[2]) if match else ("datasets" if batch[1] else "models", batch[2]) if batch else None
        if key and key not in hub.stored:
            return self.reply(404, {"error": "Repository not found"}, [("X-Error-Code", "RepoNotFound")])
        if batch:
            return self.take_batch(json.loads(body)) if LFS_TYPE in self.headers.get("Accept", "") and kind in (LFS_TYPE, "application/json") else self.broke("type of the batch: " + kind)
        if verify:
            wish = json.loads(body)
            there = hub.objects.get(verify[1])
            return self.reply(200, {}) if there is not None and wish == {"oid": verify[1], "size": len(there)} else self.broke("verify of what is not there", 422)
        if not match:
            return self.refuse(404)
        if match[3] == "branch":
            return self.take_branch(hub.stored[key], match[4])
        if match[4] not in hub.stored[key].branches:
            return self.reply(404, {"error": "Invalid rev id"}, [("X-Error-Code", "RevisionNotFound")])
        if match[3] == "preupload":
            return self.take_modes(hub.stored[key], match[4], json.loads(body)) if kind == "application/json" else self.broke("not JSON")
        if kind != "application/x-ndjson":
            return self.broke("type of a commit: " + kind)
        create_pr = parse_qs(urlsplit(self.path).query).get("create_pr") == ["1"]
        with hub.lock:
            answer = self.take_commit(hub.stored[key], key, match[4], body, create_pr)
        if isinstance(answer, tuple):
            return self.broke(answer[1], answer[0]) if answer[0] != 412 else self.reply(412, {"error": answer[1]})
        fault = self.upload_fault("after commit")                            # it came to be, and nobody hears of it
        if fault and fault[0] == "cut":
            self.close_connection = True
            return None
        if fault and fault[0] == "status":
            return self.reply(fault[1], {"error": "on purpose"})
        return self.reply(200, answer)

    # ---- repositories ------------------------------------------------------------------------------------------------------

    def take_create(self, wish):
        hub = self.server.hub
        name = (wish.get("organization") or "alice") + "/" + wish["name"]
        kind = {"model": "models", "dataset": "datasets"}[wish.get("type", "model")]
        if wish.get("organization") in hub.closed:
            return self.reply(403, {"error": "You don't have the rights to create a model under the namespace"})
        url = "%s/%s%s" % (hub.url, "datasets/" if kind == "datasets" else "", name)
        with hub.lock:
            is_new = (kind, name) not in hub.stored
            if is_new:
                hub.stored[kind, name] = Stored(bool(wish.get("private")) or wish.get("visibility") == "private")
        if not is_new:
            return self.reply(409, {"error": "You already created this repo", "url": url})
        return self.reply(200, {"url": url, "name": name, "id": "0"})

    def take_branch(self, repo, name):
        if name in repo.branches:
            return self.reply(409, {"error": "Reference already exists"})
        repo.branches[name] = list(repo.branches["main"])
        return self.reply(201, {})

    def send_info(self, key, revision):
        repo = self.server.hub.stored[key]
        if repo.private and not self.rights():
            return self.reply(401, {"error": "Invalid username or password."})
        if revision not in repo.branches:
            return self.reply(404, {"error": "Invalid rev id"}, [("X-Error-Code", "RevisionNotFound")])
        head = repo.head(revision)
        return self.reply(200, {"id": key[1], "sha": head.oid, "private": repo.private, "siblings": [{"rfilename": p} for p in head.files]})

    def send_stored_tree(self, repo, revision):
        rows = []
        for path, f in repo.head(revision).files.items():
            rows.append({"type": "file", "path": path, "size": len(f[1]) if f[0] == "regular" else f[2], "oid": git_sha1(f[1]) if f[0] == "regular" else "0" * 40})
            if f[0] == "lfs":
                rows[-1]["lfs"] = {"oid": f[1], "size": f[2], "pointerSize": 130}
        return self.reply(200, rows)

    def send_stored(self, repo, revision, path):
        commit = repo.commits.get(revision) or (repo.head(revision) if revision in repo.branches else None)
        if not commit or path not in commit.files or commit.files[path][0] != "regular":
            return self.refuse(404, "EntryNotFound")
        return self.send_bytes("", commit.files[path][1])

    # ---- files ----------------------------------------------------------------------------------------------------------------

    def take_modes(self, repo, branch, wish):
        hub, files = self.server.hub, repo.head(branch).files
        attributes = files[".gitattributes"][1].decode() if ".gitattributes" in files else ""
        ignored = wish.get("gitIgnore", "").split()
        if len(wish["files"]) > 256:
            return self.broke("more than 256 files at once")
        rows = []
        for row in wish["files"]:
            sample = base64.b64decode(row["sample"], validate=True)
            if len(sample) != min(512, row["size"]):
                return self.broke("sample of %s has %d bytes" % (row["path"], len(sample)))
            is_lfs = tracks(attributes, row["path"]) or row["size"] > hub.lfs_from or b"\0" in sample
            there = files.get(row["path"])
            rows.append({"path": row["path"], "uploadMode": "lfs" if is_lfs else "regular", "shouldIgnore": any(fnmatch.fnmatch(row["path"], i) for i in ignored),
                         "oid": None if not there else git_sha1(there[1]) if there[0] == "regular" else there[1]})
        return self.reply(200, {"files": rows, "commitOid": repo.head(branch).oid})

    def take_batch(self, wish):
        hub = self.server.hub
        if wish["operation"] != "upload" or wish["hash_algo"] != "sha256":
            return self.broke("operation of the batch")
        rows = []
        for row in wish["objects"]:
            answer = {"oid": row["oid"], "size": row["size"]}
            if row["oid"] in hub.refused:
                answer["error"] = {"code": 422, "message": "this object is not wanted"}
            elif row["oid"] not in hub.objects:
                answer["actions"] = self.actions(hub, row, "multipart" in wish["transfers"])
            rows.append(answer)
        return self.reply(200, {"transfer": "basic", "objects": rows})

    def actions(self, hub, row, parts_allowed):
        key = uuid.uuid4().hex
        verify = {"verify": {"href": "%s/verify/%s" % (hub.url, row["oid"]), "header": {}}}
        with hub.lock:
            hub.uploads[key] = {"oid": row["oid"], "size": row["size"], "parts": {}, "expected": 0}
        if not parts_allowed or row["size"] <= hub.part_bytes:
            return {"upload": {"href": "%s/put/%s?signature=s" % (hub.content_url, key), "header": {"X-Storage": "basic"}}, **verify}
        n = -(-row["size"] // hub.part_bytes)
        hub.uploads[key]["expected"] = n
        header = {"chunk_size": str(hub.part_bytes), **{"%05d" % (i + 1): "%s/part/%s/%d?signature=s" % (hub.content_url, key, i + 1) for i in range(n)}}
        return {"upload": {"href": "%s/complete/%s" % (hub.url, key), "header": header}, **verify}

    def take_content(self, path, body):
        """The store of large files: another origin, which must not see the Hub's token."""
        hub = self.server.hub
        words = path.split("/")
        upload = hub.uploads.get(words[2]) if len(words) > 2 else None
        if self.headers.get("Authorization"):
            return self.broke("the token came to the store", 403)
        if self.command != "PUT" or not upload or "signature=s" not in self.path or words[2] in hub.expired:
            return self.reply(403, {"error": "Request has expired"})
        if words[1] == "part":
            number = int(words[3])
            expected = min(hub.part_bytes, upload["size"] - (number - 1) * hub.part_bytes)
            if len(body) != expected:
                return self.broke("part %d has %d bytes, expected %d" % (number, len(body), expected))
            etag = '"%s"' % hashlib.md5(body).hexdigest()
            with hub.lock:
                hub.part_puts.append((upload["oid"], number))
                upload["parts"][number] = (etag, body)
            self.send_response(200)
            self.send_header("ETag", etag)
        else:
            if self.headers.get("X-Storage") not in ("basic", None):
                return self.broke("header of the upload")
            if sha256(body) != upload["oid"] or len(body) != upload["size"]:
                return self.broke("content of %s has another digest" % upload["oid"][:8])
            with hub.lock:
                hub.objects[upload["oid"]] = body
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def take_complete(self, key, body):
        hub, wish = self.server.hub, json.loads(body)
        upload = hub.uploads.get(key)
        if not upload or key in hub.expired:
            return self.reply(404, {"error": "no such upload"})
        if self.headers.get("Content-Type") != LFS_TYPE:
            return self.broke("type of the end of parts")
        numbers = [p["partNumber"] for p in wish["parts"]]
        if wish["oid"] != upload["oid"] or numbers != list(range(1, upload["expected"] + 1)):
            return self.broke("parts of %s: %s" % (wish["oid"][:8], numbers))
        with hub.lock:
            if any(upload["parts"].get(p["partNumber"], (None,))[0] != p["etag"] for p in wish["parts"]):
                return self.reply(400, {"error": "InvalidPart"})
            content = b"".join(upload["parts"][n][1] for n in numbers)
            if sha256(content) == upload["oid"]:
                hub.objects[upload["oid"]] = content
                upload = None
        return self.reply(200, {"success": True}) if upload is None else self.broke("parts give another digest", 422)

    def take_commit(self, repo, key, branch, body, create_pr):
        """The answer, or (status, why not). Under the lock."""
        hub = self.server.hub
        lines = [json.loads(line) for line in body.decode().splitlines()]
        header = lines[0]["value"] if lines and lines[0]["key"] == "header" else None
        if not header or not header.get("summary"):
            return 400, "a commit begins with its header"
        if header.get("parentCommit") and header["parentCommit"] != repo.head(branch).oid:
            return 412, "A commit has happened since. Please refresh and try again."
        files = dict(repo.head(branch).files)
        for line in lines[1:]:
            value = line["value"]
            path = value["path"]
            if path.startswith("/") or ".." in path.split("/"):
                return 400, "path " + path
            if line["key"] == "file":
                if value.get("encoding") != "base64":
                    return 400, "encoding of " + path
                content = base64.b64decode(value["content"], validate=True)
                if len(content) > hub.lfs_from or (b"\0" in content[:512]):
                    return 400, path + " belongs into the large file store"
                files[path] = ("regular", content)
            elif line["key"] == "lfsFile":
                there = hub.objects.get(value["oid"])
                if value["algo"] != "sha256" or there is None or value.get("size", len(there)) != len(there):
                    return 400, path + " names an object that is not there"
                files[path] = ("lfs", value["oid"], len(there))
            elif line["key"] == "deletedFile":
                if files.pop(path, None) is None:
                    return 404, "A file with this name doesn't exist"
            elif line["key"] == "deletedFolder":
                files = {p: f for p, f in files.items() if not p.startswith(path.rstrip("/") + "/")}
            else:
                return 400, "operation " + line["key"]
        readme = files.get("README.md")
        if readme and hub.yaml_error and readme[0] == "regular" and b"license: nonsense" in readme[1]:
            return 400, "Invalid metadata in README.md"
        attributes = files[".gitattributes"][1].decode() if ".gitattributes" in files else ""
        for path, f in files.items():                                # a file that no line speaks of gets one
            if f[0] == "lfs" and not tracks(attributes, path):
                attributes += path.replace(" ", "[[:space:]]") + " filter=lfs diff=lfs merge=lfs -text\n"
        files[".gitattributes"] = ("regular", attributes.encode())
        commit = Commit(repo.head(branch).oid, files, header["summary"])
        repo.commits[commit.oid] = commit
        base = "%s/%s%s" % (hub.url, "datasets/" if key[0] == "datasets" else "", key[1])
        answer = {"success": True, "commitOid": commit.oid, "commitUrl": base + "/commit/" + commit.oid, "hookOutput": ""}
        if create_pr:
            repo.pulls.append(commit.oid)
            repo.branches["refs/pr/%d" % len(repo.pulls)] = repo.branches[branch] + [commit.oid]
            answer["pullRequestUrl"] = base + "/discussions/%d" % len(repo.pulls)
        else:
            repo.branches[branch].append(commit.oid)
        return answer


class UploadHub(FakeHub):
    def __init__(self):
        self.stored, self.objects, self.uploads = {}, {}, {}
        self.tokens = {"hf_writes": "write", "hf_reads": "read"}
        self.closed, self.refused, self.expired = set(), set(), set()
        self.upload_faults, self.broken, self.part_puts = {}, [], []
        self.lfs_from, self.part_bytes, self.pause, self.received, self.yaml_error = 10 << 20, 5 << 20, 0, 0, True
        super().__init__()

    def _start(self, role):
        server = ThreadingHTTPServer(("127.0.0.1", 0), UploadHandler)
        server.daemon_threads = True
        server.hub, server.role = self, role
        server.handle_error = self.note_error
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def note_error(self, request, client_address):
        """A client that is gone is no mistake; all else is one, of the test or of this hub."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            self.broken.append(traceback.format_exc())

    def commits(self, name, branch="main", kind="models"):
        """Commits behind the first one, oldest first."""
        repo = self.stored[kind, name]
        return [repo.commits[c] for c in repo.branches[branch][1:]]
