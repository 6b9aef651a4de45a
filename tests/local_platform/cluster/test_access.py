import base64
import json
import stat
from pathlib import Path

import pytest

from local_platform.cluster import access
from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl

CLUSTER = {"server": "https://10.0.0.1:6443", "certificate-authority-data": "Q0E="}


def stand_in(folder: Path, token: str) -> None:
    config = {
        "clusters": [{"name": "x", "cluster": CLUSTER}],
        "users": [{"user": {"client-key-data": "canary-of-the-admin"}}],
    }
    secret = {"data": {"token": base64.b64encode(token.encode()).decode()} if token else {}}
    program = folder / "kubectl"
    program.write_text(
        f"#!/bin/sh\ncase $1 in\n config) echo '{json.dumps(config)}' ;;\n get) echo '{json.dumps(secret)}' ;;\nesac\n"
    )
    program.chmod(0o755)


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    stand_in(tmp_path, "canary-of-airflow")
    return Kubectl.find("k")


def test_airflow_gets_the_cluster_by_its_own_token_and_nothing_of_the_persons(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "airflow.kubeconfig"
    access.write_kubeconfig(kubectl, path)
    written = json.loads(path.read_text())
    assert written["clusters"] == [{"name": "cluster", "cluster": CLUSTER}]
    assert written["users"] == [{"name": "ml-airflow", "user": {"token": "canary-of-airflow"}}]
    assert written["contexts"][0]["context"]["namespace"] == "ml-steps"
    assert "canary-of-the-admin" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_written_again_over_what_was_there(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "airflow.kubeconfig"
    path.write_text("old")
    (tmp_path / "airflow.partial").write_text("half")
    access.write_kubeconfig(kubectl, path)
    assert json.loads(path.read_text())["kind"] == "Config"


def test_a_token_that_is_not_made_is_reported(
    kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "WAIT_SECONDS", 0.3)
    stand_in(tmp_path, "")
    with pytest.raises(ClusterError, match=r"made no token for service account ml-airflow.*kubectl describe secret"):
        access.write_kubeconfig(kubectl, tmp_path / "airflow.kubeconfig")
