import io
import json
from pathlib import Path
from typing import Any

import pytest

from local_platform.cluster import workloads
from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.workloads import is_ready, reasons_of, restarts_of
from local_platform.console import Console

READY = {
    "metadata": {"generation": 3},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}
SCRIPT = """#!/usr/bin/env python3
import json, pathlib, sys
responses = json.loads(pathlib.Path(__file__).with_name("responses.json").read_text())
words = sys.argv[1:]
with pathlib.Path(__file__).with_name("calls").open("a") as calls:
    calls.write(" ".join(words) + chr(10))
print(responses.get("logs" if words[0] == "logs" else " ".join(words[:2]), ""))
"""


def pod(
    *, restarts: int = 0, waiting: dict[str, str] | None = None, name: str = "thing-1", **more: Any
) -> dict[str, Any]:
    container = {"restartCount": restarts, "ready": False, "state": {"waiting": waiting} if waiting else {}}
    return {"metadata": {"name": name, **more}, "status": {"containerStatuses": [container]}}


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
        {"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1},
    ],
)
def test_a_deployment_that_is_rolled_out_is_not_ready(status: dict[str, int]) -> None:
    assert is_ready(READY)
    assert not is_ready(READY | {"status": status})
    assert not is_ready({})


def test_the_reasons_are_the_clusters_own_words() -> None:
    unscheduled = {
        "metadata": {"name": "thing-2"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no CPU"}]
        },
    }
    pulling = pod(waiting={"reason": "ErrImagePull", "message": "not found"})
    creating = pod(waiting={"reason": "ContainerCreating"})
    assert reasons_of([unscheduled, pulling, pulling]) == ["ErrImagePull: not found", "Unschedulable: no CPU"]
    assert reasons_of([creating]) == ["ContainerCreating"]


def test_restarts_of_what_is_ready_do_not_count() -> None:
    well = pod(restarts=7)
    well["status"]["containerStatuses"][0]["ready"] = True
    assert restarts_of([well, pod(restarts=2, name="thing-2"), {"metadata": {"name": "new"}, "status": {}}]) == {
        "thing-1": 0, "thing-2": 2, "new": 0,
    }  # fmt: skip


class Cluster:
    """A cluster with fixed responses, by a ``kubectl`` on PATH."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "kubectl").write_text(SCRIPT)
        (folder / "kubectl").chmod(0o755)

    def responds_with(self, deployment: dict[str, Any], *pods: dict[str, Any], log: str = "") -> None:
        events = {
            "items": [{"reason": "FailedCreate", "message": "exceeded quota", "involvedObject": {"name": "thing-9"}}]
        }
        objects = {"get deployment": deployment, "get pods": {"items": list(pods)}, "get events": events}
        texts = {name: json.dumps(value) for name, value in objects.items()} | {"logs": log}
        (self._folder / "responses.json").write_text(json.dumps(texts))

    def calls(self) -> str:
        return (self._folder / "calls").read_text()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(workloads, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(workloads, "WAIT_SECONDS", 0.2)
    return Cluster(tmp_path)


def wait(stream: io.StringIO | None = None) -> None:
    workloads.wait(Kubectl.find("k"), "here", ["thing"], Console(stream or io.StringIO()))


def test_what_is_ready_is_reported(cluster: Cluster) -> None:
    cluster.responds_with(READY)
    wait(stream := io.StringIO())
    assert stream.getvalue().startswith("  thing                  ready after")


def test_what_does_not_get_ready_is_reported_with_its_reason(cluster: Cluster) -> None:
    cluster.responds_with({}, pod(waiting={"reason": "ErrImagePull", "message": "not found"}), log="Traceback")
    with pytest.raises(ClusterError, match=r"Deployment thing in here was not ready after 0\.\d s") as caught:
        wait()
    message = str(caught.value)
    for line in ("ErrImagePull: not found", "FailedCreate: exceeded quota", "the end of its log:", "Traceback"):
        assert f"\n    {line}" in message


def test_what_failed_before_is_removed_and_its_old_restarts_do_not_count(cluster: Cluster) -> None:
    cluster.responds_with({}, pod(restarts=9, waiting={"reason": "CrashLoopBackOff"}))
    with pytest.raises(ClusterError, match="was not ready"):
        wait()
    assert "delete pod thing-1 --namespace here --ignore-not-found --wait=false" in cluster.calls()


def test_what_keeps_restarting_is_not_waited_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "WAIT_SECONDS", 60.0)
    counts = iter([0, 1, 2, 3, 4])
    look = workloads._Workload._living_pods
    monkeypatch.setattr(workloads._Workload, "_living_pods", lambda self: [*look(self), pod(restarts=next(counts))])
    cluster.responds_with({})
    with pytest.raises(ClusterError, match="Deployment thing in here keeps restarting"):
        wait()


def test_pods_that_are_being_removed_say_nothing(cluster: Cluster) -> None:
    cluster.responds_with({}, pod(waiting={"reason": "ErrImagePull"}, deletionTimestamp="2026-01-01T00:00:00Z"))
    with pytest.raises(ClusterError, match="was not ready") as caught:
        wait()
    assert "ErrImagePull" not in str(caught.value)
