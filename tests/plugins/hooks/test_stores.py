from pathlib import Path

import pytest

from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.stores.objects.s3 import S3Objects
from plugins.hooks.stores import REVOKE_SECONDS, ObjectStoreHook


def test_the_store_that_the_environment_names_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_OBJECTS_URI", tmp_path.as_uri())
    store = ObjectStoreHook().get_conn()
    store.create("receipts/a.json", b"{}")
    assert (tmp_path / "receipts" / "a.json").read_bytes() == b"{}"


def test_an_attempt_that_was_revoked_may_not_publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_OBJECTS_URI", tmp_path.as_uri())
    command = StepCommand(step=StepName.TRAIN, project="flights", partition="2013-03", run="r", attempt=2)
    ObjectStoreHook().revoke(command)
    assert [path.name for path in (tmp_path / "leases").rglob("*.json")] == ["revoked-002-001.json"]


def test_a_task_that_is_to_end_does_not_wait_long_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_OBJECTS_URI", "s3://bucket/objects")
    used: list[object] = []
    monkeypatch.setattr("include.coordination.leases.revoke", lambda objects, _command: used.append(objects))
    command = StepCommand(step=StepName.TRAIN, project="flights", partition="2013-03", run="r")
    ObjectStoreHook().revoke(command)
    assert used == [S3Objects("bucket", "objects", retry_seconds=REVOKE_SECONDS)]


def test_no_store_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ML_OBJECTS_URI", raising=False)
    with pytest.raises(ConfigurationError, match="ML_OBJECTS_URI is not set"):
        ObjectStoreHook().get_conn()
