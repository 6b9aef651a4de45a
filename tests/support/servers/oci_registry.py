"""A small artifact registry (OCI) for tests, with faults to order."""

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

USER = ("ann", "registry-canary")


@dataclass
class Registry:
    """What the artifact registry holds, and how it behaves."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    """Digest of the image that a repository has, whatever tag is requested."""
    private: frozenset[str] = frozenset()
    """Repositories that nobody may read."""
    requests: list[str] = field(default_factory=list)
    """``METHOD /path`` of each request, in order."""
    wants: str = ""
    """``basic`` or ``bearer``: how one signs in; nobody need where it is empty."""
    failures: int = 0
    """How many of the next requests get a 503."""
    forbids: bool = False
    loses_manifests: bool = False

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def setting(self) -> str:
        return f"http://{self.host}/team"

    def count(self, method: str) -> int:
        return sum(line.startswith(f"{method} ") for line in self.requests)


class _Handler(http.server.BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        self.registry.requests.append(f"{self.command} {urlsplit(self.path).path}")
        if self.registry.failures:
            self.registry.failures -= 1
            self.say(503, b"out of breath")
        elif self.path.startswith("/token"):
            allowed = self.headers.get("Authorization") == f"Basic {_basic()}"
            self.say(200 if allowed else 401, json.dumps({"token": "t0ken"}).encode())
        elif not self.is_signed():
            self.say(401, b"who?", {"WWW-Authenticate": self.challenge()})
        elif self.registry.forbids:
            self.say(403, b"not you")
        else:
            self.work(body)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815 (the base class wants these names)

    def is_signed(self) -> bool:
        wanted = {"": None, "basic": f"Basic {_basic()}", "bearer": "Bearer t0ken"}[self.registry.wants]
        if any(self.path.startswith(f"/v2/{repository}/") for repository in self.registry.private):
            return False
        return wanted is None or self.headers.get("Authorization") == wanted

    def challenge(self) -> str:
        if self.registry.wants == "basic":
            return 'Basic realm="registry"'
        return f'Bearer realm="http://{self.registry.host}/token",service="registry",scope="repository:x:pull,push"'

    def work(self, body: bytes) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        repository, _, rest = path.removeprefix("/v2/").rpartition("/manifests/")
        if repository in self.registry.tags:
            self.say(200, b"", {"Docker-Content-Digest": self.registry.tags[repository]})
        elif repository:
            self.manifest(rest, body)
        elif path.endswith("/blobs/uploads/") and self.command == "POST":
            self.say(202, b"", {"Location": f"{path}7?state=abc"})
        elif "/blobs/uploads/" in path and self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            if query["digest"] != [digest] or query["state"] != ["abc"]:
                self.say(400, b"DIGEST_INVALID")
                return
            self.registry.blobs[digest] = body
            self.say(201, b"")
        else:
            content = self.registry.blobs.get(path.rpartition("/")[2])
            self.say(404, b"") if content is None else self.say(200, content)

    def manifest(self, name: str, body: bytes) -> None:
        if self.command == "PUT":
            if "UPPER" in self.path:
                self.say(400, b"NAME_INVALID")
                return
            if not self.registry.loses_manifests:
                self.registry.manifests[f"sha256:{hashlib.sha256(body).hexdigest()}"] = body
            self.say(201, b"")
            return
        content = self.registry.manifests.get(name)
        self.say(404, b"") if content is None else self.say(200, content)

    def say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass


def _basic() -> str:
    return base64.b64encode(":".join(USER).encode()).decode()


@contextmanager
def running_registry() -> Iterator[Registry]:
    registry = Registry()
    handler = type("Handler", (_Handler,), {"registry": registry})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        registry.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield registry
        server.shutdown()
        thread.join()
