import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.packaging.files import write_bundle
from include.serving.processes.worker_process import WorkerProcess, _environment
from include.stores.serving.settings import ServingSettings
from tests.support.processes import is_running
from tests.support.serving_bundles import bundle

SETTINGS = ServingSettings(drain_seconds=1)


def test_worker_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("ML_CONNECTION_WAREHOUSE", "postgresql://u:planted@h/d")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = _environment()
    assert "planted" not in str(result)
    assert result["OMP_NUM_THREADS"] == "1"
    assert "PATH" in result


def test_worker_that_refuses_its_bundle_states_why(tmp_path: Path) -> None:
    async def main() -> None:
        refused = pytest.raises(DataRejectedError, match=r"manifest\.json of the bundle cannot be read")
        with socket.create_server(("127.0.0.1", 0)) as public, refused:
            await WorkerProcess.start(public, tmp_path, {}, SETTINGS)

    asyncio.run(main())


def test_worker_that_ends_or_hangs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(bundle(), tmp_path)
    monkeypatch.setattr("include.serving.processes.worker_process._REPLY_SECONDS", 0.2)
    monkeypatch.setattr("include.serving.processes.worker_process._KILL_SECONDS", 0.2)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as public:
            worker = await WorkerProcess.start(public, tmp_path, {"version": "3"}, SETTINGS)
            assert worker.url == f"http://127.0.0.1:{worker.port}"
            os.kill(worker.pid, signal.SIGSTOP)
            with pytest.raises(TemporaryError, match=r"did not reply within 0\.2 s"):
                await worker.activate()
            await worker.stop()
            assert not is_running(worker.pid)
            assert await worker.ended() == -signal.SIGKILL
            with pytest.raises(TemporaryError, match=r"has ended|ended with code -9"):
                await worker.deactivate()

    asyncio.run(main())
