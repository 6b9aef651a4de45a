"""The few calls of a Kubernetes API server that starting and ending pods needs, on loopback, with refusals to order."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, Configuration, CoreV1Api

Pod = dict[str, Any]


@dataclass
class KubeApi:
    """What lies in the one namespace, and how to answer."""

    url: str = ""
    pods: dict[str, Pod] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Answers to the next creations, as (status, message)."""
    loses_answers: int = 0
    """How many of the next creations are done and answered with 500."""
    created: list[Pod] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    is_away: bool = False

    @property
    def client(self) -> CoreV1Api:
        return CoreV1Api(ApiClient(Configuration(host=self.url)))

    def kubeconfig(self, folder: Path) -> Path:
        path = folder / "kubeconfig.json"
        known = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": self.url}}],
            "users": [{"name": "it", "user": {"token": "of-the-test"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        path.write_text(json.dumps(known))
        return path

    def create(self, pod: Pod) -> tuple[int, Any]:
        if self.refusals:
            status, message = self.refusals.pop(0)
            return status, {"kind": "Status", "code": status, "message": message}
        name = pod["metadata"]["name"]
        if name in self.pods:
            return 409, {"kind": "Status", "code": 409, "message": f'pods "{name}" already exists'}
        self.pods[name] = {**pod, "status": {"phase": "Pending"}}
        self.created.append(pod)
        if self.loses_answers:
            self.loses_answers -= 1
            return 500, {"kind": "Status", "code": 500, "message": "etcd leader changed"}
        return 201, self.pods[name]

    def listed(self, selector: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if _fits(pod["metadata"].get("labels", {}), selector)]

    def delete(self, name: str) -> tuple[int, Any]:
        if name not in self.pods:
            return 404, {"kind": "Status", "code": 404, "message": f'pods "{name}" not found'}
        self.deleted.append(name)
        return 200, self.pods.pop(name)


def _fits(labels: dict[str, str], selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        name, is_not, value = term.partition("!=")
        if is_not:
            if labels.get(name) == value:
                return False
        else:
            name, _, value = term.partition("=")
            if labels.get(name) != value:
                return False
    return True


def _handler(api: KubeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            words = parts.path.strip("/").split("/")
            if parts.path.endswith("/pods"):
                found = api.listed(parse_qs(parts.query).get("labelSelector", [""])[0])
                self.answer(200, {"kind": "PodList", "items": found})
            elif words[-1] == "log":
                self.answer(200, "".join(api.logs.get(words[-2], [])))
            elif words[-1] in api.pods:
                self.answer(200, api.pods[words[-1]])
            else:
                self.answer(404, {"kind": "Status", "code": 404, "message": "not found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(*api.create(json.loads(body)))

        def do_DELETE(self) -> None:
            self.answer(*api.delete(urlsplit(self.path).path.rsplit("/", 1)[-1]))

        def answer(self, status: int, body: Any) -> None:
            if api.is_away:
                status, body = 503, {"kind": "Status", "code": 503, "message": "away"}
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_kube_api() -> Iterator[KubeApi]:
    api = KubeApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
