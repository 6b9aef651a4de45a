"""The fleet's decisions, with workers that are no processes; ``test_supervisor`` has real ones."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.serving.processes import fleet as fleet_module
from include.serving.processes.fleet import Fleet
from include.serving.processes.fleet_state import read_state
from include.stores.serving.control import ModelRecord
from include.stores.serving.settings import ServingSettings

SETTINGS = ServingSettings()


class Worker:
    """Does what it is told and keeps it."""

    made: "list[Worker]" = []  # noqa: RUF012 (emptied by each test)
    starts_fail = 0

    def __init__(self, version: str) -> None:
        self.version, self.commands, self.url = version, list[str](), f"http://127.0.0.1:{len(self.made)}"
        self._end = asyncio.Event()
        self.made.append(self)

    @classmethod
    async def start(cls, _public: object, _folder: Path, arguments: dict[str, str], _settings: object) -> "Worker":
        if cls.starts_fail:
            cls.starts_fail -= 1
            raise DataRejectedError("the bundle is torn")
        return cls(arguments["version"])

    @property
    def is_running(self) -> bool:
        return not self._end.is_set()

    async def activate(self) -> None:
        if not self.is_running:
            raise TemporaryError("has ended")
        self.commands.append("activate")

    async def deactivate(self) -> None:
        self.commands.append("deactivate")

    async def ended(self) -> int:
        await self._end.wait()
        return -9

    async def stop(self) -> None:
        self.commands.append("stop")
        self._end.set()

    def die(self) -> None:
        self._end.set()


@pytest.fixture(autouse=True)
def _workers(monkeypatch: pytest.MonkeyPatch) -> None:
    Worker.made, Worker.starts_fail = [], 0
    monkeypatch.setattr(fleet_module, "WorkerProcess", Worker)
    monkeypatch.setattr(fleet_module, "_FIRST_WAIT_SECONDS", 0.01)


def record(version: int) -> ModelRecord:
    return ModelRecord(project="p", model="m", version=version, digest=f"sha256:{version}")


class Opened:
    def __init__(self, fleet: Fleet, folder: Path, port: int) -> None:
        self.fleet, self.folder, self.port = fleet, folder, port

    async def deploy(self, version: int) -> None:
        await self.fleet.start(self.folder, record(version), SETTINGS)
        await self.fleet.activate(record(version))

    def versions(self) -> list[int | None]:
        status = self.fleet.status()
        members = (status.active, status.previous, status.candidate)
        return [None if member is None else member.version for member in members]

    async def public(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        result = (await asyncio.wait_for(reader.read(), 10)).decode()
        writer.close()
        return result


def with_fleet(tmp_path: Path, use: Callable[[Opened], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        bundle = tmp_path / "bundle"
        bundle.mkdir(exist_ok=True)
        (tmp_path / "state").mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as public:
            fleet = Fleet(tmp_path / "state", public, "http://x")
            await fleet.open()
            await use(Opened(fleet, bundle, public.getsockname()[1]))
            await fleet.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the condition is the test's own)
            await asyncio.sleep(0.01)


def test_rollback_removes_the_version_and_leaves_one_more_to_go_back_to(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        for version in (1, 2, 3):
            await opened.deploy(version)
        assert opened.versions() == [3, 2, None]
        await opened.fleet.rollback(record(3))
        assert opened.versions() == [2, 1, None]
        await opened.fleet.rollback(record(2))
        assert opened.versions() == [1, None, None]
        await opened.fleet.rollback(record(1))
        assert opened.versions() == [None, None, None]
        assert "No model is deployed" in await opened.public()
        assert list((tmp_path / "state" / "bundles").iterdir()) == []

    with_fleet(tmp_path, use)


def test_new_worker_accepts_before_the_old_one_stops(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        await opened.deploy(2)
        old, new = Worker.made
        assert (old.commands, new.commands) == (["activate", "deactivate"], ["activate"])

    with_fleet(tmp_path, use)


def test_state_names_what_is_kept_and_is_read_again(tmp_path: Path) -> None:
    async def first(opened: Opened) -> None:
        for version in (1, 2, 3):
            await opened.deploy(version)

    async def second(opened: Opened) -> None:
        await until(lambda: bool(Worker.made) and Worker.made[-1].commands == ["activate"])
        assert opened.versions() == [3, 2, None]

    with_fleet(tmp_path, first)
    state = read_state(tmp_path / "state" / "serving.json")
    kept = [one.record.version if one else None for one in (state.active, state.previous, state.older)]
    assert kept == [3, 2, 1]
    Worker.made = []
    with_fleet(tmp_path, second)


def test_new_candidate_takes_the_place_of_the_old(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.fleet.start(opened.folder, record(1), SETTINGS)
        await opened.fleet.start(opened.folder, record(2), SETTINGS)
        assert opened.versions() == [None, None, 2]
        assert Worker.made[0].commands == ["stop"]
        await opened.fleet.discard(record(1))
        assert opened.versions() == [None, None, 2]
        with pytest.raises(TemporaryError, match=r"Version 1 .* was not started"):
            await opened.fleet.activate(record(1))

    with_fleet(tmp_path, use)


def test_candidate_that_ends_as_it_is_activated_leaves_all_as_it_was(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        await opened.fleet.start(opened.folder, record(2), SETTINGS)
        Worker.made[1].die()
        with pytest.raises(TemporaryError, match="has ended; start it again"):
            await opened.fleet.activate(record(2))
        assert opened.versions() == [1, None, 2]

    with_fleet(tmp_path, use)


def test_active_worker_that_dies_is_tried_again_until_it_starts(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        Worker.starts_fail = 3
        Worker.made[0].die()
        await until(lambda: len(Worker.made) == 2 and Worker.made[1].commands == ["activate"])
        assert Worker.starts_fail == 0

    with_fleet(tmp_path, use)


def test_port_states_that_the_active_worker_does_not_start_and_the_log_states_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        Worker.starts_fail = 10_000
        Worker.made[0].die()
        await until(lambda: Worker.starts_fail < 9_999)
        message = await opened.public()
        assert "does not start" in message
        assert "torn" not in message
        assert "the bundle is torn" in capsys.readouterr().err

    with_fleet(tmp_path, use)


def test_rollback_starts_the_old_version_where_it_does_not_run(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        await opened.deploy(2)
        Worker.made[0].die()
        await opened.fleet.rollback(record(2))
        assert opened.versions() == [1, None, None]
        assert Worker.made[2].commands == ["activate"]

    with_fleet(tmp_path, use)


def test_rollback_whose_target_does_not_start_changes_nothing(tmp_path: Path) -> None:
    async def use(opened: Opened) -> None:
        await opened.deploy(1)
        await opened.deploy(2)
        Worker.made[0].die()
        Worker.starts_fail = 1
        with pytest.raises(DataRejectedError, match="torn"):
            await opened.fleet.rollback(record(2))
        assert opened.versions() == [2, 1, None]
        assert Worker.made[1].commands == ["activate"]

    with_fleet(tmp_path, use)
