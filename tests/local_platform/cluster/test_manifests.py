import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_platform.cluster import manifests
from local_platform.cluster.backing_services import passwords
from local_platform.cluster.backing_services.databases import Databases
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.manifests import Overlay, base_settings, port_of
from local_platform.cluster.ownership import INSTALLATION
from local_platform.cluster.settings import ClusterSettings

MLFLOW = f"10.0.0.1:5000/ml/ml-platform/mlflow@sha256:{'a' * 64}"
STATSD = "10.0.0.1:5000/ml/statsd-exporter:1"
GIVEN = ClusterSettings(
    kubeconfig="k", registry="http://10.0.0.1:5000/ml", s3_endpoint="http://10.0.0.1:7070", s3_access_key="me",
    s3_secret_key="canary-of-s3",
)  # fmt: skip
DATABASES = Databases("10.0.0.1:20001", "127.0.0.1:20001", {"airflow": "a", "mlflow": "m", "mlflow_auth": "p%q"})


def overlay(folder: Path, digest: str = "1") -> Overlay:
    images = {"mlflow": MLFLOW, "prom/statsd-exporter": STATSD}
    ports = manifests.store_ports(GIVEN, DATABASES)
    return Overlay(folder / "manifests", {"ML_TABLES_URI": "s3://ours/tables"}, images, ports, "ours", digest)


def secrets(folder: Path) -> list[dict[str, Any]]:
    return manifests.secrets(GIVEN, DATABASES, passwords.provide(folder / "secrets"))


@pytest.mark.needs("cluster")
def test_the_overlay_is_what_kubectl_makes_of_it(tmp_path: Path) -> None:
    written = overlay(tmp_path)
    written.write()
    words = ["kubectl", "kustomize", str(written.folder)]
    text = subprocess.run(words, check=True, text=True, capture_output=True).stdout
    objects = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in yaml.safe_load_all(text)
    }
    mlflow = objects["Deployment", "ml-platform", "ml-mlflow"]["spec"]["template"]
    assert mlflow["spec"]["containers"][0]["image"] == MLFLOW
    assert mlflow["metadata"]["annotations"]["ml-platform.org/secrets"]
    statsd = objects["Deployment", "ml-platform", "ml-statsd-exporter"]["spec"]["template"]["spec"]
    assert statsd["containers"][0]["image"] == STATSD
    settings = objects["ConfigMap", "ml-platform", "ml-settings"]["data"]
    assert settings["ML_TABLES_URI"] == "s3://ours/tables"
    assert settings["ML_POD_NAMESPACE"] == "ml-steps"
    for namespace in manifests.NAMESPACES:
        assert objects["Namespace", "", namespace]["metadata"]["annotations"] == {INSTALLATION: "ours"}
        (rule,) = objects["NetworkPolicy", namespace, "stores"]["spec"]["egress"]
        assert [one["port"] for one in rule["ports"]] == [443, 5000, 7070, 20001]
    assert {one["metadata"]["labels"]["app.kubernetes.io/managed-by"] for one in objects.values()} == {"ml-platform"}


def test_mlflow_starts_anew_when_what_it_read_at_its_start_changes(tmp_path: Path) -> None:
    first, same, other = overlay(tmp_path)._digest(), overlay(tmp_path)._digest(), overlay(tmp_path, "2")._digest()
    assert first == same != other


def test_what_lay_there_before_is_gone(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "old.yaml").touch()
    overlay(tmp_path).write()
    assert sorted(path.name for path in (tmp_path / "manifests").iterdir()) == ["base", "kustomization.yaml"]


def test_the_namespaces_are_those_of_the_base_and_marked() -> None:
    made = manifests.namespaces("ours")
    assert [one["metadata"]["name"] for one in made] == list(manifests.NAMESPACES)
    for one in made:
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert one["metadata"]["annotations"] == {INSTALLATION: "ours"}


def test_the_settings_of_the_base_are_read() -> None:
    assert base_settings()["ML_EXECUTION"] == "kubernetes"
    assert (
        base_settings()["MLFLOW_TRACKING_URI"]
        == f"http://{manifests.MLFLOW_NAME}.ml-platform.svc:{manifests.MLFLOW_PORT}"
    )


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("http://h:7070", 7070),
        ("http://h/x", 80),
        ("https://h", 443),
        ("h:5000/ml", 5000),
        ("registry.example/ml", 443),
    ],
)
def test_ports_of_addresses(address: str, port: int) -> None:
    assert port_of(address) == port


class TestSecrets:
    def test_there_is_one_for_each_connection_and_no_step_gets_mlflows(self, tmp_path: Path) -> None:
        objects = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in secrets(tmp_path)}
        assert objects == {
            ("ml-platform", "ml-mlflow"), ("ml-platform", "ml-connection-s3"),
            ("ml-steps", "ml-connection-s3"), ("ml-steps", "ml-connection-mlflow"), ("ml-serving", "ml-connection-s3"),
        }  # fmt: skip

    def test_steps_log_in_as_an_ordinary_user(self, tmp_path: Path) -> None:
        (login,) = (one for one in secrets(tmp_path) if one["metadata"]["name"] == "ml-connection-mlflow")
        made = passwords.provide(tmp_path / "secrets")
        values = {key: base64.b64decode(value).decode() for key, value in login["data"].items()}
        assert values == {"MLFLOW_TRACKING_USERNAME": "steps", "MLFLOW_TRACKING_PASSWORD": made.mlflow_steps}

    def test_a_percent_sign_is_written_twice_in_mlflows_file(self, tmp_path: Path) -> None:
        (mlflow,) = (one for one in secrets(tmp_path) if one["metadata"]["name"] == "ml-mlflow")
        text = base64.b64decode(mlflow["data"]["basic_auth.ini"]).decode()
        assert "database_uri = postgresql+psycopg2://mlflow_auth:p%%q@10.0.0.1:20001/mlflow_auth" in text

    def test_their_digest_changes_with_them(self, tmp_path: Path) -> None:
        first = manifests.digest_of(secrets(tmp_path))
        assert first == manifests.digest_of(secrets(tmp_path))
        assert first != manifests.digest_of(secrets(tmp_path / "other"))


def test_the_token_is_requested_when_its_account_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").write_text(
        '#!/bin/sh\necho "$@" >> "$0.calls"\ngrep -o ml-airflow-token >> "$0.calls"\ntrue\n'
    )
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    manifests.apply(Kubectl("k"), overlay(tmp_path), secrets(tmp_path))
    calls = (tmp_path / "kubectl.calls").read_text().splitlines()
    last = max(number for number, call in enumerate(calls) if "--kustomize" in call)
    assert next(number for number, call in enumerate(calls) if call == "ml-airflow-token") > last
