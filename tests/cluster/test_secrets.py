"""
No secret is anywhere but where it must be, after data, training and scoring ran; and the search would find it.

The passwords are made anew for each installation, so that each of them is a canary.
"""

import json
import secrets

import pyarrow as pa
import pytest

from include.stores.installation import Stores
from include.stores.registry.protocol import RunStatus
from local_platform.cluster.manifests import STEPS
from tests.support.cluster import searched
from tests.support.cluster.releases import Released
from tests.support.cluster.running_platform import ClusterPlatform

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.needs("postgresql")]

PLACES = (
    "file airflow/logs/dag_id=faults_", "file logs/", "database airflow, table xcom", "database mlflow, table tags",
    "events in ml-steps", "pods in ml-serving", "log of pod ml-mlflow", "object objects/receipts/", "object mlflow/",
)  # fmt: skip
"""Beginnings of names of places that must be among those that are searched, with something in them."""


def test_no_secret_is_anywhere(cluster_platform: ClusterPlatform, released: Released) -> None:
    places = searched.everywhere(cluster_platform)
    for beginning in PLACES:
        assert any(name.startswith(beginning) and data for name, data in places.items()), (beginning, sorted(places))
    wanted = searched.secrets_of(cluster_platform)
    assert {"database airflow", "MLflow's user of the steps", "Airflow's token of the cluster"} <= wanted.keys()
    assert searched.hits(places, wanted) == set()


def test_a_planted_secret_is_found(
    cluster_platform: ClusterPlatform, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, canary = cluster_platform.stores(monkeypatch), f"canary-{secrets.token_urlsafe(12)}"
    planted = planted_everywhere(cluster_platform, stores, canary)
    found = searched.hits(searched.everywhere(cluster_platform), {"canary": canary})
    missed = [place for place in planted if not any(name.startswith(place) for name, _ in found)]
    assert missed == []


def planted_everywhere(platform: ClusterPlatform, stores: Stores, canary: str) -> list[str]:
    """Put a word into one place of each kind; returns beginnings of their names."""
    name = f"canary-{secrets.token_hex(4)}"
    (platform.state.airflow / "logs" / f"{name}.log").write_text(json.dumps({"event": f"say {canary}"}))
    platform.airflow._call("POST", "/variables", {"key": name, "value": "none", "description": canary})
    stores.objects.create(f"reports/{name}.json", json.dumps({"login": f"me:{canary}"}).encode())
    stores.tables.write("canary/raw/rows", "2024-01-01", pa.table({"number": [1], "word": [canary]}), stamp={})
    experiment = stores.registry.start_run("canary", "canary", {"platform.canary": canary})
    stores.registry.end_run(experiment, RunStatus.FINISHED)
    platform.kubectl.apply(event(canary))
    return [
        "file airflow/logs/", "database airflow, table variable", "database mlflow, table tags", f"events in {STEPS}",
        "object objects/reports/canary", "rows of tables/canary/",
    ]  # fmt: skip


def event(message: str) -> dict[str, object]:
    """An event of no pod."""
    meta = {"name": f"canary-{secrets.token_hex(4)}", "namespace": STEPS}
    about = {"kind": "Pod", "name": "canary", "namespace": STEPS, "apiVersion": "v1"}
    told = {"reason": "Canary", "message": message, "type": "Normal", "source": {"component": "test"}}
    return {"apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": about, **told}
