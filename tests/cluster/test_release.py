"""A model of the project ``faults`` on the cluster, from its files to its answers, and the one that replaces it."""

import json
import re
from pathlib import Path

import pytest

from include.contract.layout import Layer, table_name
from include.contract.results import DeployResults, PackageResults
from include.contract.step_names import StepName
from include.governance.ledger import Ledger
from include.governance.versions import champion
from include.runtime.receipts import ReceiptReader
from include.stores.installation import Stores
from include.stores.objects.bundles import sealed_bundle
from local_platform.cluster.manifests import SERVING
from local_platform.cluster.services import SERVING_PORT
from local_platform.demo import served_model
from plugins.operators.pod.names import MAP_INDEX, RUN_ID, TASK_ID, TRY_NUMBER
from tests.support.cluster import by_hand, fault_project, published, releases
from tests.support.cluster.cluster_kit import CLIENTS, namespace, running, wait_for
from tests.support.cluster.releases import Released
from tests.support.cluster.running_platform import ClusterPlatform

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.needs("postgresql")]

ROWS = 3


@pytest.fixture
def stores(cluster_platform: ClusterPlatform, monkeypatch: pytest.MonkeyPatch) -> Stores:
    return cluster_platform.stores(monkeypatch)


def test_the_model_answers_through_the_traffic_service(
    cluster_platform: ClusterPlatform, released: Released, stores: Stores
) -> None:
    spec = published.spec(cluster_platform)
    with releases.forwarded(cluster_platform) as url:
        identity = served_model.identify(url, releases.SWITCH_SECONDS)
        predictions = served_model.predict(url, identity, stores, spec, partition=releases.SCORED, count=ROWS)
    assert len({prediction.probability for prediction in predictions}) == ROWS
    assert all(0.0 < prediction.probability < 1.0 for prediction in predictions)


def test_the_second_training_replaces_the_first(cluster_platform: ClusterPlatform, released: Released) -> None:
    assert (released.first.model, released.first.version) == ("fault_parcels", "1")
    assert (released.second.model, released.second.version) == ("fault_parcels", "2")
    assert released.first.digest != released.second.digest
    assert released.deployments[0] == {"fault-parcels-v1"}
    assert "fault-parcels-v2" in released.deployments[1]


def test_the_packaged_model_is_an_artifact_that_the_pods_mount(
    cluster_platform: ClusterPlatform, released: Released, stores: Stores
) -> None:
    evidence = ReceiptReader(stores.objects, fault_project.NAME)
    run = next(one for one in reversed(released.runs) if one.dag.endswith("_training"))
    last = releases.DAYS[releases.DAYS.index(releases.SCORED) - 1]
    packaged, deployed = (evidence.of_run(step, run.run, last) for step in (StepName.PACKAGE, StepName.DEPLOY))
    assert packaged is not None
    assert deployed is not None
    artifact = str(packaged.results_of(PackageResults).artifact)
    place = cluster_platform.given.registry.removeprefix("http://")
    assert re.fullmatch(rf"{re.escape(place)}/ml-platform/models/faults/fault_parcels@sha256:[0-9a-f]{{64}}", artifact)
    found = cluster_platform.kubectl.get("deployment", "fault-parcels-v2", "--namespace", SERVING)
    mounted = [one["image"]["reference"] for one in found["spec"]["template"]["spec"]["volumes"] if "image" in one]
    assert mounted == ([artifact] if deployed.results_of(DeployResults).bundle_by == "image volume" else [])


def test_no_request_fails_while_the_command_rolls_back(
    cluster_platform: ClusterPlatform, released: Released, stores: Stores, tmp_path: Path
) -> None:
    """Leaves the second version champion, as it found it: by the same command."""
    found = cluster_platform.kubectl.get("deployment", "fault-parcels-v2", "--namespace", SERVING)
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    golden = sealed_bundle(stores.objects, fault_project.NAME, released.second.digest).golden()
    body = json.dumps({"dataframe_split": golden.rows.model_dump(mode="json")})
    url = f"http://fault-parcels.{SERVING}:{SERVING_PORT}"
    with namespace("rollback-test") as cluster, by_hand.operator(cluster_platform, image, tmp_path) as operator:
        stream = running(cluster, image, CLIENTS, {"URL": url, "BODY": body, "UNTIL_VERSION": "1"})
        wait_for(lambda: "begun" in stream.log(), "the first answers")
        words = ("rollback", "--project", fault_project.NAME, "--who", "ann", "--why")
        done = operator.calls(*words, "wrong since noon")
        assert done.returncode == 0, done.stderr
        seen = stream.result()
        assert _champion(stores) == 1
        done = operator.calls(*words, "it was the data", "--to", "2")
        assert done.returncode == 0, done.stderr
    assert seen["failed"] == 0, seen
    assert set(seen["by_version"]) == {"1", "2"}
    assert set(seen["last_versions"]) == {"1"}, "a client that kept its connection must have been handed on"
    assert _champion(stores) == 2
    notes = [entry.note for entry in Ledger(stores.objects, fault_project.NAME, "fault_parcels").entries()]
    assert [(note.who.person, note.why, note.after.version) for note in notes[-2:]] == [
        ("ann", "wrong since noon", 1),
        ("ann", "it was the data", 2),
    ]
    with releases.forwarded(cluster_platform) as forwarded:
        assert served_model.identify(forwarded, releases.SWITCH_SECONDS) == released.second


def _champion(stores: Stores) -> int | None:
    found = champion(stores.registry, "fault_parcels")
    return None if found is None else found.version


def test_a_day_is_scored(cluster_platform: ClusterPlatform, released: Released, stores: Stores) -> None:
    predictions = table_name(fault_project.NAME, Layer.PREDICTIONS, "parcels")
    state = stores.tables.state(predictions, releases.SCORED)
    assert state is not None
    assert state.row_count == fault_project.ROWS


def test_pods_of_steps_are_gone_once_they_are_done(cluster_platform: ClusterPlatform, released: Released) -> None:
    """But for pods of earlier tries, which stay for people to look at."""
    last = {
        (task.run, task.task, str(task.map_index), str(task.try_number))
        for run in released.runs
        for task in cluster_platform.tasks(run).values()
    }
    left = [one["metadata"] for one in cluster_platform.pods(f"ml-platform.org/project={fault_project.NAME}")]
    told = {
        one["name"]: tuple(one["annotations"][name] for name in (RUN_ID, TASK_ID, MAP_INDEX, TRY_NUMBER))
        for one in left
    }
    assert [name for name, task in told.items() if task in last] == []
