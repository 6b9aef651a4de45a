"""The supervisor's workers: start a version, switch to it, go back, and bring the active one back when it dies."""

import asyncio
import json
import shutil
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from include.errors import DataRejectedError, PlatformError, TemporaryError, foreign
from include.serving.processes.fleet_state import FleetState, KeptModel, read_state, write_state
from include.serving.processes.unavailable import UnavailableServer
from include.serving.processes.worker_process import WorkerProcess
from include.stores.serving.control import ModelRecord, ServingStatus
from include.stores.serving.settings import ServingSettings

# Doubled with each death: a model that crashes at once would otherwise keep a core busy.
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
"""A worker that lived this long has its next death forgiven: it is restarted without waiting."""
_NOTHING_DEPLOYED = "No model is deployed here yet; deploy one."
_BROKEN = "The model's process does not start; see the model server's log."
_RESTARTING = "The model's process ended and is being started again; try again in a moment."


@dataclass
class _Member:
    """One version and its process, if it runs."""

    kept: KeptModel
    process: WorkerProcess | None = None

    @property
    def record(self) -> ModelRecord:
        """The version as others see it."""
        running = self.process is not None and self.process.is_running
        return self.kept.record.model_copy(update={"url": self.process.url if running and self.process else None})


class Fleet:
    """
    Versions of one model on one machine: the active one, the one before it, and a candidate.

    The traffic moves by accepting: the new worker begins to accept from the public socket before the old one stops, and
    a connection that waits in the socket's queue is taken by whoever accepts next. No request sees a closed port.
    """

    def __init__(self, folder: Path, public: socket.socket, public_url: str) -> None:
        self._bundles, self._state_path = folder / "bundles", folder / "serving.json"
        self._public, self._public_url = public, public_url
        self._unavailable = UnavailableServer(public)
        self._active: _Member | None = None
        self._previous: _Member | None = None
        self._older: _Member | None = None
        self._candidate: _Member | None = None
        # Commands take seconds and wait in between; two of them at once would see each other's halves.
        self._lock = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """
        Bring back what was active before.

        :raises ConfigurationError: if the state file is damaged.
        """
        self._bundles.mkdir(parents=True, exist_ok=True)
        state = read_state(self._state_path)
        self._active = _Member(state.active) if state.active else None
        self._previous = _Member(state.previous) if state.previous else None
        self._older = _Member(state.older) if state.older else None
        # Before any worker runs: nothing holds a file of these folders open.
        self._sweep()
        # At once: the model takes seconds to load, and a client must not wait for a port that nobody accepts from.
        await self._unavailable.open(_RESTARTING if self._active else _NOTHING_DEPLOYED)
        self._watch_active(wait_seconds=0.0)

    async def close(self) -> None:
        """Stop all workers; requests that they have begun get their response."""
        if self._watch is not None:
            self._watch.cancel()
        self._unavailable.close()
        async with self._lock:
            members = (self._active, self._previous, self._candidate)
            await asyncio.gather(*(_stop(member) for member in members))

    def status(self) -> ServingStatus:
        """What the fleet has."""
        members = {"active": self._active, "previous": self._previous, "candidate": self._candidate}
        records = {name: member.record for name, member in members.items() if member is not None}
        return ServingStatus(public_url=self._public_url, **records)

    async def start(self, folder: Path, record: ModelRecord, settings: ServingSettings) -> None:
        """
        Start a version beside the active one; it becomes the candidate, in the place of any other.

        :raises DataRejectedError: if its bundle is not what it should be.
        :raises TemporaryError: if its process does not come up.
        """
        async with self._lock:
            # Forgotten before it is removed: a failure below must not leave a candidate without files.
            outdated, self._candidate = self._candidate, None
            await self._remove(outdated)
            copy = self._bundles / f"{record.version:06d}-{uuid.uuid4().hex[:12]}"
            try:
                # In a thread: the loop also responds with 503 and watches the active worker.
                await asyncio.to_thread(shutil.copytree, folder, copy)
            except (OSError, shutil.Error) as error:
                shutil.rmtree(copy, ignore_errors=True)
                raise DataRejectedError(f"The bundle in {folder} cannot be copied: {foreign(error)}.") from error
            kept = KeptModel(record=record.model_copy(update={"url": None}), settings=settings, folder=copy.name)
            try:
                self._candidate = _Member(kept, await self._spawn(kept))
            except PlatformError:
                shutil.rmtree(copy, ignore_errors=True)
                raise
            log_event("candidate started", kept.record)

    async def activate(self, record: ModelRecord) -> None:
        """
        Give the candidate the traffic.

        :raises TemporaryError: if there is no such candidate, or it has ended.
        """
        async with self._lock:
            if self._active is not None and record.is_same(self._active.record) and self._candidate is None:
                return
            chosen, old, older, oldest = self._chosen_candidate(record), self._active, self._previous, self._older
            # Accept first, retire then: for a moment both accept, and none is refused.
            await self._switch(chosen, previous=old, older=older)
            self._candidate = None
            await _retire(old)
            await _stop(older)
            await self._remove(oldest)

    async def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""
        async with self._lock:
            if self._candidate is not None and record.is_same(self._candidate.record):
                await self._remove(self._candidate)
                self._candidate = None
                log_event("candidate discarded", record)

    async def rollback(self, record: ModelRecord) -> None:
        """
        Give the traffic back to what had it before this version, which is removed; to nothing, if it was the first.

        :raises TemporaryError: if the version named is not the active one, or the old one does not start.
        """
        async with self._lock:
            if self._active is None or not record.is_same(self._active.record):
                message = f"Version {record.version} ({record.digest}) is not the active one; nothing was changed."
                raise TemporaryError(message)
            target, failed = self._previous, self._active
            if target is not None and (target.process is None or not target.process.is_running):
                target.process = await self._spawn(target.kept)
            await self._switch(target, previous=self._older, older=None)
            await _retire(failed)
            await self._remove(failed)

    def _chosen_candidate(self, record: ModelRecord) -> _Member:
        member = self._candidate
        if member is None or not record.is_same(member.record):
            raise TemporaryError(f"Version {record.version} ({record.digest}) was not started; start it first.")
        if member.process is None or not member.process.is_running:
            raise TemporaryError(f"The process of version {record.version} has ended; start it again.")
        return member

    async def _switch(self, chosen: _Member | None, *, previous: _Member | None, older: _Member | None) -> None:
        """Let another version accept, and remember it; the one that accepted until now still does."""
        if chosen is not None and chosen.process is not None:
            await chosen.process.activate()
            self._unavailable.close()
        else:
            await self._unavailable.open(_NOTHING_DEPLOYED)
        self._active, self._previous, self._older = chosen, previous, older
        # After the worker accepts: killed before this, the supervisor comes back with the old version.
        write_state(self._state_path, FleetState(active=_kept(chosen), previous=_kept(previous), older=_kept(older)))
        self._watch_active(wait_seconds=0.0)
        log_event("switched", chosen.kept.record if chosen else None)

    def _watch_active(self, *, wait_seconds: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.create_task(self._keep_alive(self._active, wait_seconds)) if self._active else None

    async def _keep_alive(self, member: _Member, wait_seconds: float) -> None:
        while True:
            began = time.monotonic()
            if member.process is not None:
                # asyncio reaps the child; a worker that hangs without ending is not noticed here.
                code = await member.process.ended()
                log_event("active worker ended", member.kept.record, exit_code=code)
                await self._unavailable.open(_RESTARTING)
                if time.monotonic() - began > _HEALTHY_SECONDS:
                    wait_seconds = 0.0
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(max(2 * wait_seconds, _FIRST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
            async with self._lock:
                await self._bring_back(member)

    async def _bring_back(self, member: _Member) -> None:
        try:
            member.process = await self._spawn(member.kept)
            await member.process.activate()
        except PlatformError as error:
            member.process = None
            await self._unavailable.open(_BROKEN)
            log_event("active worker does not start", member.kept.record, message=str(error))
            return
        self._unavailable.close()
        log_event("active worker started", member.kept.record)

    async def _spawn(self, kept: KeptModel) -> WorkerProcess:
        arguments = {"digest": kept.record.digest, "version": str(kept.record.version)}
        return await WorkerProcess.start(self._public, self._bundles / kept.folder, arguments, kept.settings)

    async def _remove(self, member: _Member | None) -> None:
        if member is not None:
            await _stop(member)
            shutil.rmtree(self._bundles / member.kept.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove bundles that nobody names: of candidates that were started when the supervisor was killed."""
        known = {member.kept.folder for member in (self._active, self._previous, self._older) if member is not None}
        for folder in self._bundles.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _kept(member: _Member | None) -> KeptModel | None:
    return None if member is None else member.kept


async def _retire(member: _Member | None) -> None:
    """Let a version accept no more; it is kept, or ended where it does not listen."""
    if member is not None and member.process is not None and member.process.is_running:
        try:
            await member.process.deactivate()
        except TemporaryError:
            await _stop(member)


async def _stop(member: _Member | None) -> None:
    if member is not None and member.process is not None:
        await member.process.stop()
        member.process = None


def log_event(event: str, record: ModelRecord | None = None, **fields: object) -> None:
    """One line of log: JSON on standard error."""
    named = {"model": record.model, "version": record.version, "digest": record.digest} if record else {}
    line = {"at": time.time(), "service": "model server", "event": event, **named, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
