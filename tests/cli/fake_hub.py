"""A Hugging Face Hub, a content server and a Python package index on 127.0.0.1, small enough to break on purpose.

FakeHub answers what `starchat pull` and huggingface_hub ask: what a revision is, the tree of a commit in pages, files by
HEAD and GET with ranges, redirects of large files to a second server (another port, so another origin), who a token is;
and plain files under /files/, packages under /simple/. Every request is kept in `log`. `faults` maps a part of a path to a
list of faults; each GET of such a path takes one. `rate` slows each connection of the second server to so many bytes a second.

Protocol as described by huggingface_hub's source; nothing here is copied from it.
"""
import gzip
import hashlib
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repo:
    def __init__(self, files, lfs=(), commit="c" * 40, token=None, gated=False, blobs=True, refs=None):
        self.files = dict(files)      # path in the repository -> bytes
        self.lfs = set(lfs)           # of these, the ones on the content server
        self.commit = commit
        self.token = token            # needed to see it
        self.gated = gated            # listed for all, files for nobody, or for whom has this token
        self.blobs = blobs            # the list has sizes and digests
        self.refs = refs or {}        # other names of commits
        self.versions = {}            # files of other commits

    def commit_of(self, revision):
        return self.commit if revision in ("main", self.commit) else self.refs.get(revision, revision if revision in self.versions else None)

    def files_of(self, commit):
        return self.versions.get(commit, self.files)


class Request:
    def __init__(self, handler):
        self.server = handler.server.role
        self.method = handler.command
        self.path = handler.path
        self.headers = {k.lower(): v for k, v in handler.headers.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        hub = self.server.hub
        with hub.lock:
            hub.log.append(Request(self))
        path = unquote(urlsplit(self.path).path)
        try:
            if self.server.role == "content":
                self.send_bytes(path, hub.content[path[1:]], etag=path[1:])
            elif path == "/api/whoami-v2":
                self.send_whoami()
            elif path.startswith(("/api/models/", "/api/datasets/")):
                self.send_list(path)
            elif path.startswith("/simple/"):
                self.send_index(path)
            elif path.startswith("/files/"):
                if path in hub.plain:
                    self.send_bytes(path, hub.plain[path], etag=hub.etags.get(path))
                else:
                    self.refuse(404)
            elif "/resolve/" in path:
                self.send_file(path)
            else:
                self.refuse(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def refuse(self, status, code=None, headers=()):
        body = b'{"error":"no"}'
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def redirect(self, location, status=307, headers=()):
        self.refuse(status, headers=[("Location", location), *headers])

    def find_repo(self, name):
        """The repository, or None after having said why not."""
        hub = self.server.hub
        if name not in hub.repos:
            self.refuse(404, "RepoNotFound")
            return None
        repo = hub.repos[name]
        if isinstance(repo, str):     # renamed
            self.redirect(self.path.replace(name, repo))
            return None
        if repo.token and self.headers.get("Authorization") != "Bearer " + repo.token:
            self.refuse(401)
            return None
        return repo

    def next_fault(self, path):
        hub = self.server.hub
        if self.command != "GET":
            return None
        with hub.lock:
            for part, faults in hub.faults.items():
                if part in path and faults:
                    return faults.pop(0)
        return None

    def send_whoami(self):
        hub = self.server.hub
        fault = self.next_fault("/api/whoami-v2")
        if fault and fault[0] == "status":
            return self.refuse(fault[1], headers=fault[2:])
        if fault and fault[0] == "body":
            return self.send_bytes("", fault[1])
        user = hub.users.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if not user:
            return self.refuse(401, headers=[("X-Error-Message", "Invalid credentials in Authorization header")])
        return self.send_bytes("", json.dumps(user).encode(), kind="application/json")

    def send_list(self, path):
        match = re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        fault = self.next_fault(path)
        if fault and fault[0] == "status":
            return self.refuse(fault[1], headers=fault[2:])
        if fault and fault[0] == "body":
            return self.send_bytes("", fault[1], headers=fault[2:])
        repo = self.find_repo(match.group(1)) if match else self.refuse(404)
        if not repo:
            return None
        commit = repo.commit_of(match.group(3) or "main")
        if not commit:
            return self.refuse(404, "RevisionNotFound")
        if match.group(2) == "tree":
            return self.send_tree(repo, commit)
        body = json.dumps({"id": match.group(1), "sha": commit, "siblings": [{"rfilename": name} for name in repo.files_of(commit)]}).encode()
        return self.send_bytes("", body, kind="application/json")

    def send_tree(self, repo, commit):
        hub = self.server.hub
        entries = []
        for name, data in repo.files_of(commit).items():
            folder = "/".join(name.split("/")[:-1])
            if folder and not any(e["path"] == folder for e in entries):
                entries.append({"type": "directory", "oid": git_sha1(folder.encode()), "size": 0, "path": folder})
            entry = {"type": "file", "path": name}
            if repo.blobs:
                entry.update(size=len(data), oid=git_sha1(data))
                if name in repo.lfs:
                    entry.update(oid=git_sha1(b"pointer" + data), lfs={"oid": sha256(data), "size": len(data), "pointerSize": 130})
            entries.append(entry)
        first = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        headers = []
        if first + hub.page < len(entries):
            headers.append(("Link", '<%s%s?recursive=true&expand=false&cursor=%d>; rel="next"' % (hub.url, urlsplit(self.path).path, first + hub.page)))
        return self.send_bytes("", json.dumps(entries[first:first + hub.page]).encode(), kind="application/json", headers=headers)

    def send_file(self, path):
        hub = self.server.hub
        name, rest = path[1:].removeprefix("datasets/").split("/resolve/", 1)
        repo = self.find_repo(name)
        if not repo:
            return None
        revision, file = next(((r, rest[len(r) + 1:]) for r in ["main", repo.commit, *repo.refs, *repo.versions] if rest.startswith(r + "/")), (None, None))
        commit = repo.commit_of(revision)
        if not commit:
            return self.refuse(404, "RevisionNotFound")
        if repo.gated and self.headers.get("Authorization") != "Bearer %s" % repo.gated:
            return self.refuse(403 if "Authorization" in self.headers else 401, "GatedRepo", [("X-Error-Message", "Access to model %s is restricted." % name)])
        commit_header = [("X-Repo-Commit", hub.commit_header or commit)]
        if file not in repo.files_of(commit):
            return self.refuse(404, "EntryNotFound", commit_header)
        data = repo.files_of(commit)[file]
        if file in repo.lfs:
            digest = sha256(data)
            hub.content[digest] = data
            return self.redirect("%s/%s" % (hub.content_url, digest), 302, [("X-Linked-Etag", '"%s"' % digest), ("X-Linked-Size", str(len(data))), *commit_header])
        return self.send_bytes(path, data, etag=git_sha1(data), headers=commit_header)

    def send_index(self, path):
        hub = self.server.hub
        name = path.split("/")[2]
        if name not in hub.packages:
            return self.refuse(404)
        if hub.index_is_json:
            files = [{"filename": f, "url": "/files/" + f, "hashes": {"sha256": hub.digests.get(f, sha256(d))}, "size": len(d)} for f, d in hub.packages[name].items()]
            return self.send_bytes("", json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode(), kind="application/vnd.pypi.simple.v1+json")
        page = "".join('<a href="../../files/%s#sha256=%s">%s</a><br>\n' % (f, hub.digests.get(f, sha256(d)), f) for f, d in hub.packages[name].items())
        return self.send_bytes("", ("<!DOCTYPE html><html><body>" + page + "</body></html>").encode(), kind="text/html")

    def write_slowly(self, body):
        hub, rate = self.server.hub, self.server.hub.rate
        if not rate or self.server.role != "content":
            return self.wfile.write(body)
        with hub.lock:
            hub.active += 1
            hub.most = max(hub.most, hub.active)
        try:
            begun = time.monotonic()
            for at in range(0, len(body), rate // 50 + 1):
                self.wfile.write(body[at:at + rate // 50 + 1])
                time.sleep(max(0, begun + at / rate + 0.02 - time.monotonic()))
        finally:
            with hub.lock:
                hub.active -= 1
        return None

    def send_bytes(self, path, data, etag=None, kind="application/octet-stream", headers=()):
        fault = self.next_fault(path) if path else None
        what = fault[0] if fault else None
        first = 0
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if what == "status":
            return self.refuse(fault[1], headers=fault[2:])
        if what == "corrupt":
            data = bytes([data[0] ^ 1]) + data[1:]
        if what == "longer":
            data += b"x" * 10
        last = len(data) - 1
        if not self.server.hub.ignores_if_range and self.headers.get("If-Range", '"%s"' % etag) != '"%s"' % etag:
            wanted = None
        if wanted and what != "ignore range":
            first = int(wanted.group(1))
            if first >= len(data):
                return self.refuse(416)
            last = min(int(wanted.group(2) or last), last)
        body = data[first:last + 1]
        is_part = wanted is not None and what != "ignore range"
        self.send_response(206 if is_part else 200)
        self.send_header("Content-Type", kind)
        for name, value in headers:
            self.send_header(name, value)
        if is_part:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first - (what == "wrong range"), last, len(data)))
        if etag:
            self.send_header("ETag", etag if etag.startswith("W/") else '"%s"' % etag)
        if what == "gzip":
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        if what in ("no length", "endless"):
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if what == "cut":             # ends the connection after so many bytes; then calls a function
            self.wfile.write(body[:fault[1]])
            for call in fault[2:]:
                call()
            self.close_connection = True
            return None
        if what == "stall":           # sends so many bytes, then waits until the test lets go
            self.wfile.write(body[:fault[1]])
            self.wfile.flush()
            self.server.hub.stalled.set()
            self.server.hub.release.wait(30)
            self.close_connection = True
            return None
        if what == "endless":         # never ends by itself
            while True:
                self.wfile.write(body)
        self.write_slowly(body)
        return None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):       # clients that are killed break connections
            super().handle_error(request, client_address)


class FakeHub:
    def __init__(self):
        self.repos, self.content, self.plain, self.etags, self.packages, self.digests = {}, {}, {}, {}, {}, {}
        self.faults, self.log = {}, []
        self.users = {}                                    # token -> what whoami answers
        self.page, self.rate, self.commit_header = 1000, 0, None
        self.active = self.most = 0                        # connections that send slowly: now, and at most
        self.index_is_json, self.ignores_if_range = True, False
        self.lock = threading.Lock()
        self.stalled, self.release = threading.Event(), threading.Event()
        self.servers = [self._start(role) for role in ("hub", "content")]
        self.url, self.content_url = ("http://127.0.0.1:%d" % s.server_address[1] for s in self.servers)

    def _start(self, role):
        server = Server(("127.0.0.1", 0), Handler)
        server.hub, server.role = self, role
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def add_package(self, name, file_name, data):
        self.packages.setdefault(name, {})[file_name] = data
        self.plain["/files/" + file_name] = data

    def requests(self, part, method="GET"):
        return [r for r in self.log if part in r.path and r.method == method]

    def close(self):
        self.release.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()
