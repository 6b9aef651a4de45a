"""
What a run depends on goes away for a minute, or is started again, in the middle of the run.

The run ends well; or it fails, says what was away, and ends well once it is cleared. Nothing is published twice, or
torn.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.contract.step_names import StepName
from include.governance.versions import sealed_version
from include.runtime.receipts import ReceiptReader
from include.stores.installation import Stores
from include.stores.registry.protocol import RunStatus
from local_platform.cluster.manifests import MLFLOW_NAME, PLATFORM, STEPS
from local_platform.demo import failure
from local_platform.demo.airflow_api import DagRun
from plugins.operators.pod.names import RUN_ID
from tests.support.cluster import fault_project, published, releases, running_platform
from tests.support.cluster.releases import Released
from tests.support.cluster.running_platform import ClusterPlatform
from tests.support.cluster.tcp_proxy import OUTAGE_SECONDS

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.needs("postgresql")]

DAG, TRAINING = f"{fault_project.NAME}_data", f"{fault_project.NAME}_training"
BUSY_SECONDS = 20
"""How long the feature function works: the outage begins meanwhile, and lasts longer."""
START_SECONDS = 240.0
RESTART_SECONDS = 180.0


@pytest.fixture
def stores(cluster_platform: ClusterPlatform, monkeypatch: pytest.MonkeyPatch) -> Stores:
    return cluster_platform.stores(monkeypatch)


def busy(platform: ClusterPlatform, partition: str) -> DagRun:
    """A run whose features step is in the middle of its work."""
    platform.put_day(partition, f"sleep {BUSY_SECONDS}")
    run = platform.start(DAG, partition=partition)
    running_platform.until(lambda: _works(platform, run), START_SECONDS, "its work to begin", platform.report)
    return run


def _works(platform: ClusterPlatform, run: DagRun) -> bool:
    names = _begun(platform, run, "features")
    return any("faults: sleep" in platform.kubectl.call("logs", name, "--namespace", STEPS) for name in names)


def _begun(platform: ClusterPlatform, run: DagRun, step: str) -> list[str]:
    """Pods of a step of a run that do not wait any more."""
    pods = platform.pods(f"ml-platform.org/project={fault_project.NAME}", f"ml-platform.org/step={step}")
    ours = [one for one in pods if one["metadata"]["annotations"].get(RUN_ID) == run.run]
    return [one["metadata"]["name"] for one in ours if one["status"]["phase"] != "Pending"]


def end_well(platform: ClusterPlatform, stores: Stores, run: DagRun, reason: str) -> None:
    """
    Wait for a run; if it failed, look whether it says why, and clear what failed.

    :param reason: pattern of what it must say then.
    """
    ended = platform.wait(run)
    if ended.state == "failed":
        said = failure.explain(
            platform.airflow, platform.state, ReceiptReader(stores.objects, fault_project.NAME), [ended]
        )
        assert re.search(reason, said), said
        platform.clear_failed(ended)
        ended = platform.wait(run)
    assert ended.state == "success", platform.report()


@contextmanager
def without_mlflow(platform: ClusterPlatform) -> Iterator[None]:
    scale = ("scale", "deployment", MLFLOW_NAME, "--namespace", PLATFORM, "--replicas")
    platform.kubectl.call(*scale, "0")
    try:
        yield
    finally:
        platform.kubectl.call(*scale, "1")


def restart(component: str) -> None:
    done = subprocess.run(
        [*os.environ["CLUSTER_RESTART"].split(), component], check=False, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=RESTART_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("s3-outage")
def test_s3_is_away_for_a_minute(cluster_platform: ClusterPlatform, stores: Stores, tmp_path: Path) -> None:
    assert cluster_platform.given.s3_endpoint == f"http://{cluster_platform.s3_proxy.address}"
    run = busy(cluster_platform, "2024-02-01")
    with cluster_platform.s3_proxy.cut():
        pass
    end_well(cluster_platform, stores, run, r"S3|did not answer|does not answer")
    published.require_once(cluster_platform, stores, "2024-02-01")
    published.require_same_content(cluster_platform, stores, "2024-02-01", tmp_path)


def test_airflow_does_not_reach_the_api_server_for_a_minute(
    cluster_platform: ClusterPlatform, stores: Stores, tmp_path: Path
) -> None:
    """The pod works on and ends while Airflow cannot see it."""
    run = busy(cluster_platform, "2024-02-02")
    with cluster_platform.api_proxy.cut():
        pass
    end_well(cluster_platform, stores, run, r"API|did not answer|does not answer")
    published.require_once(cluster_platform, stores, "2024-02-02")
    published.require_same_content(cluster_platform, stores, "2024-02-02", tmp_path)


def test_mlflow_is_away_for_a_minute(cluster_platform: ClusterPlatform, released: Released, stores: Stores) -> None:
    (as_of, last), _ = releases.UNUSED.items()
    before = finished(stores)
    run = cluster_platform.start(TRAINING, as_of=as_of, promote="no")
    running_platform.until(lambda: _begun(cluster_platform, run, "train"), START_SECONDS, "the training to begin")
    with without_mlflow(cluster_platform):
        time.sleep(OUTAGE_SECONDS)
    end_well(cluster_platform, stores, run, r"MLflow|did not answer|does not answer")
    require_one_training(stores, last)
    assert finished(stores) == before + 1


def test_mlflow_is_away_for_longer_than_all_tries_wait(
    cluster_platform: ClusterPlatform, released: Released, stores: Stores
) -> None:
    """The one outage here that no step survives: the run fails and says why, and ends well once it is cleared."""
    _, (as_of, last) = releases.UNUSED.items()
    before = finished(stores)
    with without_mlflow(cluster_platform):
        run = cluster_platform.wait(cluster_platform.start(TRAINING, as_of=as_of, promote="no"))
    assert run.state == "failed"
    train = cluster_platform.tasks(run)["train"]
    assert (train.state, train.try_number) == ("failed", 2)
    reason = r"MLflow at http://ml-mlflow\S* does not answer: .*Is the server running\?"
    assert re.search(reason, failure.log_of(cluster_platform.state, train).read_text())
    end_well(cluster_platform, stores, run, rf"^Task train of {TRAINING}, run {run.run}, attempt 2: {reason}")
    assert cluster_platform.tasks(run)["train"].try_number == 3
    require_one_training(stores, last)
    assert finished(stores) == before + 1


def require_one_training(stores: Stores, partition: str) -> None:
    """Fail unless each step has one receipt, and the model one version."""
    evidence = ReceiptReader(stores.objects, fault_project.NAME)
    for step in (StepName.TRAIN, StepName.EVALUATE, StepName.PACKAGE):
        assert len(list(evidence.receipts(step, partition))) == 1, step
    versions = stores.registry.versions("fault_parcels", {})
    assert [sealed_version(one).partition for one in versions].count(partition) == 1


def finished(stores: Stores) -> int:
    """How many runs of MLflow in the project's experiment are complete."""
    return sum(one.status is RunStatus.FINISHED for one in stores.registry.runs(fault_project.NAME, {}))


@pytest.mark.needs("restart")
@pytest.mark.parametrize(("component", "partition"), [("containerd", "2024-02-03"), ("kube-apiserver", "2024-02-04")])
def test_a_part_of_the_cluster_is_started_again(
    cluster_platform: ClusterPlatform, stores: Stores, tmp_path: Path, component: str, partition: str
) -> None:
    run = busy(cluster_platform, partition)
    restart(component)
    end_well(cluster_platform, stores, run, r"pod|API|did not answer")
    published.require_once(cluster_platform, stores, partition)
    published.require_same_content(cluster_platform, stores, partition, tmp_path)
