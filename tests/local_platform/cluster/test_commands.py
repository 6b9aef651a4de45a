import io
from pathlib import Path

import pytest

from local_platform.cluster import commands
from local_platform.cluster.backing_services import passwords
from local_platform.cluster.errors import ClusterError
from local_platform.cluster.ownership import INSTALLATION
from local_platform.cluster.settings import REQUIRED
from local_platform.console import Console
from local_platform.locations import State

KUBECTL = """#!/bin/sh
echo "$@" >> "$0.calls"
"""


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that is described, and a ``kubectl`` that writes down how it was called."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in REQUIRED:
        monkeypatch.setenv(name, "http://10.0.0.1:5000/ml")
    monkeypatch.setenv("CLUSTER_HOST_ADDRESS", "10.0.0.1")
    return tmp_path


@pytest.mark.parametrize("command", ["up", "run", "down"])
def test_without_a_cluster_nothing_begins(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClusterError, match="CLUSTER_REGISTRY is not set"):
        commands.COMMANDS[command](State(tmp_path / "state"), Console(io.StringIO()))
    assert not (tmp_path / "state").exists()


def stand_in_kubectl(folder: Path, installation: str) -> None:
    """Let all namespaces be there, and an installation's."""
    response = f'{{"metadata": {{"annotations": {{"{INSTALLATION}": "{installation}"}}}}}}'
    (folder / "kubectl").write_text(f"{KUBECTL}[ $1 = get ] && echo '{response}'\ntrue\n")


def test_down_removes_the_namespaces_and_reports_what_is_kept(described: Path) -> None:
    state, stream = State(described / "state"), io.StringIO()
    stand_in_kubectl(described, passwords.provide(state.secrets).installation)
    assert commands.down(state, Console(stream)) == 0
    calls = (described / "kubectl.calls").read_text()
    assert "delete namespace ml-platform ml-steps ml-serving --ignore-not-found --wait" in calls
    output = stream.getvalue()
    assert "nothing was running" in output
    assert "namespaces ml-platform, ml-steps, ml-serving are gone after" in output
    assert f"Kept: bucket ml-platform, what http://10.0.0.1:5000/ml holds, and {state.root}" in output


def test_down_on_a_cluster_with_nothing_of_ours_deletes_nothing(described: Path) -> None:
    stream = io.StringIO()
    assert commands.down(State(described / "state"), Console(stream)) == 0
    assert "nothing of ours was in the cluster" in stream.getvalue()
    assert "delete" not in (described / "kubectl.calls").read_text()


def test_down_leaves_the_namespaces_of_another_installation_alone(described: Path) -> None:
    stand_in_kubectl(described, "theirs")
    with pytest.raises(ClusterError, match="belongs to another installation"):
        commands.down(State(described / "state"), Console(io.StringIO()))
    assert "delete" not in (described / "kubectl.calls").read_text()


def test_the_passwords_outlive_down(described: Path) -> None:
    state = State(described / "state")
    made = passwords.provide(state.secrets)
    commands.down(state, Console(io.StringIO()))
    assert passwords.provide(state.secrets) == made
