"""A local server that answers as Hugging Face's hub does, for models alone: a hub, and on another port the host that large
files are redirected to. Faults can be ordered. Both keep what they were asked."""
import hashlib
import http.server
import re
import ssl
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Repository:
    """One commit with branches and tags. `large` files lie on the other host."""

    def __init__(self, files, commit=COMMIT, refs=("main",), large=(".safetensors", ".bin"), private=False, gated=False):
        self.files, self.commit, self.refs = dict(files), commit, set(refs)
        self.large, self.private, self.gated = large, private, gated
        self.moved_to = None

    def is_large(self, name):
        return name.endswith(self.large)


class Asked:
    """One request: which of the two servers, and what it was."""

    def __init__(self, place, method, path, headers):
        self.place, self.method, self.path = place, method, path
        self.token = headers.get("Authorization")
        self.range = headers.get("Range")
        self.agent = headers.get("User-Agent")

    def __repr__(self):
        return f"{self.place} {self.method} {self.path} {self.range or ''}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b"", length=None):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if length is None:
            length = len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self):
        self.hub = self.server.hub
        for changed_by_a_fault in ("answer", "send_content"):
            self.__dict__.pop(changed_by_a_fault, None)
        with self.hub.guard:
            self.hub.asked.append(Asked(self.server.place, self.command, self.path, self.headers))
        for fault in self.hub.faults_of(self):
            if fault(self):
                return
        if self.server.place == "hub":
            self.serve_hub()
        else:
            self.serve_content()

    do_HEAD = do_GET

    # ---- The hub ----

    def refuse(self, status, code, message, more=()):
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": message, **dict(more)})

    def serve_hub(self):
        path = urllib.parse.urlsplit(self.path).path
        cached = path.startswith("/api/resolve-cache/")
        if cached:
            path = path.removeprefix("/api/resolve-cache")
        found = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path)
        if not found:
            return self.answer(404)
        repository, revision, name = found[1], urllib.parse.unquote(found[2]), urllib.parse.unquote(found[3])
        repo = self.hub.repositories.get(repository)
        token = self.headers.get("Authorization")
        if token is not None and token != f"Bearer {self.hub.token}":
            return self.answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        if repo is None or (repo.private and token is None):
            return self.refuse(401 if token is None else 404, "RepoNotFound", "Repository not found")
        if repo.moved_to is not None:
            return self.answer(307, {"Location": self.path.replace(f"/{repository}/", f"/{repo.moved_to}/", 1)})
        if repo.gated and (token is None or self.hub.gate_closed):
            return self.refuse(401 if token is None else 403, "GatedRepo", "Access to this model is restricted")
        if revision != repo.commit and revision not in repo.refs:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        facts = {"X-Repo-Commit": repo.commit}
        if name not in repo.files:
            return self.refuse(404, "EntryNotFound", "Entry not found", facts)
        content = repo.files[name]
        if repo.is_large(name):
            facts |= {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content)), "ETag": '"of-the-page"',
                      "Location": f"{self.hub.content_address}/{sha256(content)}?signature=secret-{next(self.hub.signatures)}"}
            return self.answer(302, facts, b"Found. Redirecting")
        if self.hub.redirects_small and not cached:
            facts |= {"X-Linked-Etag": f'"{git_hash(content)}"', "X-Linked-Size": str(len(content)),
                      "Location": f"/api/resolve-cache/{repository}/resolve/{repo.commit}/{name}?download=true"}
            return self.answer(307, facts, b"Temporary Redirect")
        self.send_content(content, facts | {"ETag": f'W/"{git_hash(content)}"'})

    # ---- Content ----

    def serve_content(self):
        if self.headers.get("Authorization") is not None:
            self.hub.leaks.append(self.path)
        if "signature=secret-" not in self.path:
            return self.answer(403)
        name = urllib.parse.urlsplit(self.path).path.lstrip("/")
        content = self.hub.blobs().get(name)
        self.send_content(content, {"ETag": f'"{name}"'}) if content is not None else self.answer(404)

    def send_content(self, content, headers):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not asked or self.hub.ignores_ranges:
            return self.answer(200, headers, content)
        start = int(asked[1])
        if start >= len(content):
            return self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
        self.answer(206, headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub, place, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.place = hub, place
        self.address = f"http{'s' if certificate else ''}://127.0.0.1:{self.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass


class Hub:
    token = "hf_TheTokenOfTheTests"

    def __init__(self, certificate=None):
        """`certificate`: a file with a key and its certificate; both servers then speak HTTPS."""
        self.guard = threading.Lock()
        self.repositories, self.asked, self.leaks, self.faults = {}, [], [], []
        self.redirects_small = self.ignores_ranges = self.gate_closed = False
        self.signatures = iter(range(10**9))
        self.servers = [Server(self, place, certificate) for place in ("hub", "content")]
        self.address, self.content_address = (server.address for server in self.servers)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def blobs(self):
        return {sha256(content): content for repo in self.repositories.values() for content in repo.files.values()}

    # ---- Faults: order(match, times, act); `act` returns whether it has answered ----

    def order(self, match, times, act):
        """The next `times` requests whose "place METHOD path" matches are handled by `act`."""
        with self.guard:
            self.faults.append([re.compile(match), times, act])

    def faults_of(self, request):
        line = f"{self.place_of(request)} {request.command} {request.path}"
        with self.guard:
            for fault in self.faults:
                if fault[1] > 0 and fault[0].search(line):
                    fault[1] -= 1
                    return [fault[2]]
        return []

    @staticmethod
    def place_of(request):
        return request.server.place

    def count(self, match):
        return sum(re.search(match, repr(asked)) is not None for asked in self.asked)


def with_status(status, headers=()):
    def act(request):
        request.answer(status, headers, b"<html>" + b"x" * 1000)
        return True
    return act


def cut_after(count):
    """Sends the first bytes of the content that is asked for, then closes the connection."""
    def act(request):
        def send(content, headers):
            asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
            start = int(asked[1]) if asked else 0
            request.send_response(206 if start else 200)
            for name, value in headers.items():
                request.send_header(name, value)
            if start:
                request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            request.send_header("Content-Length", str(len(content) - start))
            request.end_headers()
            request.wfile.write(content[start:start + count])
            request.wfile.flush()
            request.close_connection = True
            request.connection.shutdown(2)
        request.send_content = send
        return False
    return act


def changed(change):
    """Sends other content than what is asked for."""
    def act(request):
        whole = request.send_content
        request.send_content = lambda content, headers: whole(change(content), headers)
        return False
    return act


def slowly(seconds):
    """Waits before the answer."""
    def act(_):
        time.sleep(seconds)
        return False
    return act


def with_headers(changes):
    """Changes headers of the answer; None leaves one out."""
    def act(request):
        answer = request.answer

        def other(status, headers=(), body=b"", length=None):
            kept = dict(headers) | changes
            answer(status, {name: value for name, value in kept.items() if value is not None}, body, length)
        request.answer = other
        return False
    return act
