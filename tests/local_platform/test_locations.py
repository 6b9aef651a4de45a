from pathlib import Path

import pytest

from local_platform.locations import BUNDLE_VARIABLE, REPOSITORY, SOCKET_PATH_LIMIT, STATE_VARIABLE, State, bundle


def test_state_lies_in_the_repository_unless_another_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    assert State.from_environment().root == REPOSITORY / ".state"
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "elsewhere"))
    assert State.from_environment().root == tmp_path / "elsewhere"


def test_a_socket_in_a_deep_folder_gets_a_short_private_path(tmp_path: Path) -> None:
    deep = State(tmp_path / ("d" * SOCKET_PATH_LIMIT))
    path = deep.socket("serving")
    assert len(str(path)) < SOCKET_PATH_LIMIT
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path != State(tmp_path / ("e" * SOCKET_PATH_LIMIT)).socket("serving")
    path.parent.rmdir()


def test_a_second_installation_lies_in_a_folder_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    assert State.from_environment("cluster").root == tmp_path / "cluster"


def test_the_repository_is_the_bundle_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BUNDLE_VARIABLE, raising=False)
    assert bundle() == REPOSITORY
    monkeypatch.setenv(BUNDLE_VARIABLE, str(tmp_path))
    assert bundle() == tmp_path
