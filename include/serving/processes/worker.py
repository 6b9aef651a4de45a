"""
One model version's process: loads a bundle, serves it on a private port, and on the public one while it is active.

The supervisor sends it commands over an inherited socket (one JSON object a line), and it ends when that socket closes:
a worker never outlives its supervisor. Without a supervisor (in a pod) it serves its one port until SIGTERM.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from include.errors import ConfigurationError, PlatformError, foreign
from include.packaging.files import Bundle, read_bundle
from include.serving.model.batching import Batcher
from include.serving.model.predictor import Predictor, load_predictor, prepare_thread
from include.serving.service_metrics import ServiceMetrics
from include.serving.web.app import Service, build_app
from include.stores.serving.settings import ServingSettings

_KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection, so that a server seldom closes one that is about to be used."""
# The kernel cuts it to net.core.somaxconn (4096 today).
_BACKLOG = 2048
_GRACE_SECONDS = 5.0
"""Beyond the time to drain; then the process ends whatever hangs."""


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """What one worker serves, and where."""

    folder: Path
    digest: str | None
    version: int | None
    host: str
    port: int
    settings: ServingSettings
    public: int | None = None
    """File descriptor of the listening public socket; accepted from only while the worker is active."""
    control: int | None = None
    """File descriptor of the socket to the supervisor."""


def run_worker(plan: WorkerPlan) -> None:
    """
    Serve until shutdown; returns when every request that was begun has its response.

    :raises DataRejectedError: if the bundle is not what it should be; the supervisor has the reason then.
    """
    try:
        bundle = read_bundle(plan.folder, plan.digest)
        predictor = load_predictor(bundle, ignore_unknown=plan.settings.ignore_unknown)
    except PlatformError as error:
        _report_refusal(plan, {"event": "refused", "message": str(error)})
        raise
    # Frozen objects are never traversed again: each collection would walk all of scikit-learn's.
    gc.collect()
    gc.freeze()
    # Bound after the model is loaded: whoever connects gets a response.
    with contextlib.closing(_private_socket(plan)) as private:
        # uvloop where it is installed; uvicorn.run would choose it as well, and take the signals.
        uvicorn_loop = uvicorn.Config(app="", loop="auto").get_loop_factory()
        with asyncio.Runner(loop_factory=uvicorn_loop) as runner:
            runner.run(_Worker(plan, _service(plan, bundle, predictor)).serve(private))


def _service(plan: WorkerPlan, bundle: Bundle, predictor: Predictor) -> Service:
    version = "" if plan.version is None else str(plan.version)
    metrics = ServiceMetrics({"model": bundle.manifest.model, "version": version, "digest": bundle.digest})
    rows = bundle.golden().rows
    return Service(
        manifest=bundle.manifest,
        digest=bundle.digest,
        version=plan.version,
        signature=predictor.signature,
        batcher=Batcher(
            predictor.predict,
            metrics,
            rows_at_most=plan.settings.batch_rows_at_most,
            waiting_at_most=plan.settings.waiting_at_most,
            prepare_thread=prepare_thread,
        ),
        metrics=metrics,
        request_bytes_at_most=plan.settings.request_bytes_at_most,
        golden_rows={"columns": rows.columns, "data": rows.data[:1]},
    )


def _private_socket(plan: WorkerPlan) -> socket.socket:
    try:
        return socket.create_server((plan.host, plan.port), backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else foreign(error)
        message = f"Cannot listen on {plan.host}:{plan.port}: {reason}. Choose another --port."
        raise ConfigurationError(message) from error


def _report_refusal(plan: WorkerPlan, message: dict[str, Any]) -> None:
    if plan.control is not None:
        with socket.socket(fileno=os.dup(plan.control)) as control, contextlib.suppress(OSError):
            control.setblocking(True)  # noqa: FBT003 (its only argument)
            control.sendall(json.dumps(message).encode() + b"\n")


class _Server(uvicorn.Server):
    """uvicorn, but signals are the worker's, and an event is set once it listens."""

    def __init__(self, config: uvicorn.Config, listening: asyncio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the worker: uvicorn would raise them again at the end, and the process would not exit 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn, then set the event."""
        await super().startup(sockets)
        self._listening.set()

    async def accept_from(self, listener: socket.socket) -> asyncio.Server:
        """Serve one more listening socket."""

        def protocol() -> asyncio.Protocol:
            state = self.lifespan.state
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=state
            )
            return made

        # uvicorn knows its sockets only at start; these are the protocol and state that it gives its own.
        server = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=_BACKLOG)
        self.servers.append(server)
        return server


class _Worker:
    """The process's event loop: HTTP, the supervisor's commands, signals."""

    def __init__(self, plan: WorkerPlan, service: Service) -> None:
        self._plan, self._service = plan, service
        self._listening = asyncio.Event()
        config = uvicorn.Config(
            build_app(service),
            # Stated, not "auto": h11 is several times slower, and a missing package must fail at start.
            http="httptools",
            ws="none",
            lifespan="off",
            # Counts are in /metrics; a line for each request would bury the lines that matter.
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(plan.settings.drain_seconds)),
            backlog=_BACKLOG,
        )
        self._server = _Server(config, self._listening)
        self._public: asyncio.Server | None = None
        self._shutdown: asyncio.Task[None] | None = None

    async def serve(self, private: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not signal.signal: a handler of asyncio runs in the loop, between two callbacks.
            loop.add_signal_handler(number, self._shut_down)
        listening = asyncio.create_task(self._after_start(private))
        await self._server.serve(sockets=[private])
        listening.cancel()
        self._service.batcher.close()

    async def _after_start(self, private: socket.socket) -> None:
        await self._listening.wait()
        self._service.ready = True
        if self._plan.control is not None:
            await self._handle_commands(self._plan.control, private.getsockname()[1])

    async def _handle_commands(self, control: int, port: int) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=control))
        _send(writer, {"event": "ready", "port": port})
        async for command in _messages(reader):
            if command["command"] == "activate":
                await self._activate()
            elif command["command"] == "deactivate":
                self._deactivate()
            _send(writer, {"event": command["command"]})
        # The socket closed: the supervisor is gone, however it ended.
        self._shut_down()

    async def _activate(self) -> None:
        self._service.retired = False
        if self._public is None and self._plan.public is not None:
            # A duplicate: asyncio closes the descriptor of a server that is closed, and the next activation needs it.
            self._public = await self._server.accept_from(socket.socket(fileno=os.dup(self._plan.public)))

    def _deactivate(self) -> None:
        """Accept no more; each open connection gets one more response, which closes it."""
        self._service.retired = True
        if self._public is not None:
            self._public.close()
            # uvicorn closes its servers again at shutdown.
            self._server.servers.remove(self._public)
            self._public = None

    def _shut_down(self) -> None:
        if self._shutdown is None:
            self._service.ready = False
            # The next response on each open connection closes it, while responses are still given.
            self._service.retired = True
            self._shutdown = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        settings = self._plan.settings
        # A thread: a loop that hangs could not end itself. os._exit, as sys.exit raises in that thread alone.
        limit = threading.Timer(settings.notice_seconds + settings.drain_seconds + _GRACE_SECONDS, os._exit, (1,))
        limit.daemon = True
        limit.start()
        # A load balancer still sends requests until it has seen /ready at 503.
        await asyncio.sleep(settings.notice_seconds)
        self._server.should_exit = True


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            yield json.loads(line)
