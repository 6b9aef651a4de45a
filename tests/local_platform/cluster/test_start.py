import importlib.metadata
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_platform import images
from local_platform.cluster import manifests, start
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import ClusterSettings
from local_platform.cluster.start import ClusterStart
from local_platform.locations import State

GIVEN = ClusterSettings(
    kubeconfig="k",
    registry="http://10.0.0.1:5000/ml",
    s3_endpoint="http://10.0.0.1:7070",
    s3_access_key="a",
    s3_secret_key="b",
)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The exporter's page of metrics, at the address that a Service has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(manifests, "STATSD_METRICS_PORT", port)
        yield port


def service_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterStart:
    response = json.dumps({"spec": {"clusterIP": "127.0.0.1"}})
    (folder / "kubectl").write_text(f"#!/bin/sh\necho '{response}'\n")
    (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return ClusterStart(GIVEN, Kubectl("k"))


@pytest.mark.usefixtures("exporter")
def test_an_exporter_that_this_machine_reaches_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service_at(tmp_path, monkeypatch)._reachable_statsd() == "127.0.0.1:9125"


def test_one_that_it_does_not_reach_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "STATSD_METRICS_PORT", 9)
    assert service_at(tmp_path, monkeypatch)._reachable_statsd() == ""


def test_airflows_database_is_migrated_when_the_mark_and_the_database_say_so(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.airflow.mkdir()

    def empty(_statement: str, *_values: str) -> list[str]:
        return []

    def whole(_statement: str, *_values: str) -> list[str]:
        return ["a1b2"]

    assert not start._is_migrated(state, whole)
    (state.airflow / "migrated").write_text("2.0")
    assert not start._is_migrated(state, whole)
    (state.airflow / "migrated").write_text(importlib.metadata.version("apache-airflow"))
    assert start._is_migrated(state, whole)
    assert not start._is_migrated(state, empty)


def test_what_was_started_for_other_code_or_another_cluster_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, begun = State(tmp_path), ClusterStart(GIVEN, Kubectl("k"))
    assert not begun.is_current(state)
    (tmp_path / "started").write_text(begun._digest())
    assert begun.is_current(state)
    assert not ClusterStart(replace(GIVEN, s3_bucket="another"), Kubectl("k")).is_current(state)
    monkeypatch.setattr(images, "context_digest", lambda _root: "another")
    assert not begun.is_current(state)
