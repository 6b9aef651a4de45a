"""What the store decides, on a cluster in memory; ``test_serving`` has what it shares with the others."""

from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.packaging.files import Bundle
from include.stores.kubernetes.protocol import (
    AUTOSCALER,
    BUDGET,
    DEPLOYMENT,
    POLICY,
    SERVICE,
    ConflictError,
    Kind,
    Manifest,
)
from include.stores.serving.control import ModelRecord, record_of
from include.stores.serving.kubernetes import KubernetesServing, open_kubernetes_serving
from include.stores.serving.manifests import IMAGE_VOLUME, INIT_CONTAINER
from include.stores.serving.names import RETIRED_BY
from include.stores.serving.settings import Placement, ServingSettings
from tests.support.servers.model_cluster import ModelCluster, ended, waiting
from tests.support.serving_bundles import bundle

SETTINGS = ServingSettings()
MOUNTED = Placement(artifact="registry/a@sha256:" + "b" * 64, replicas_at_least=2, replicas_at_most=4)
OBJECTS = {"ML_OBJECTS_URI": "s3://bucket/objects"}


@pytest.fixture
def cluster() -> ModelCluster:
    return ModelCluster(bundles={known.digest: known for known in map(bundle, range(1, 5))})


@pytest.fixture
def serving(cluster: ModelCluster) -> KubernetesServing:
    return serving_on(cluster)


def serving_on(cluster: ModelCluster, **changes: float) -> KubernetesServing:
    return KubernetesServing(cluster, "image@sha256:1", OBJECTS, pause_seconds=0.0, **changes)


def started(serving: KubernetesServing, version: int, made: Bundle | None = None) -> ModelRecord:
    return serving.start(made or bundle(version), version, SETTINGS, MOUNTED)


def served(serving: KubernetesServing, *versions: int) -> None:
    """Deploy versions one after another, as the deploy step does."""
    for version in versions:
        record = started(serving, version)
        serving.activate(record)
        serving.settle(record)


def members(serving: KubernetesServing) -> list[int | None]:
    status = serving.status("flights", "departure_delay")
    result = (status.active, status.previous, status.candidate)
    return [None if record is None else record.version for record in result]


def test_candidate_has_everything_of_its_own_before_it_has_traffic(
    serving: KubernetesServing, cluster: ModelCluster
) -> None:
    record = started(serving, 1)
    assert (record.url, record.bundle_by) == ("http://departure-delay-v1.models.svc:8080", IMAGE_VOLUME)
    for kind in (DEPLOYMENT, SERVICE, POLICY, BUDGET):
        assert cluster.names(kind) == {"departure-delay-v1"}
    assert cluster.changes[0] == "apply Deployment departure-delay-v1"
    assert members(serving) == [None, None, 1]


def test_version_before_the_previous_one_goes_when_the_switch_is_final(
    serving: KubernetesServing, cluster: ModelCluster
) -> None:
    served(serving, 1, 2)
    serving.activate(started(serving, 3))
    assert cluster.names(DEPLOYMENT) == {f"departure-delay-v{version}" for version in (1, 2, 3)}
    serving.settle(record_of(bundle(3), 3))
    assert cluster.names(DEPLOYMENT) == {"departure-delay-v2", "departure-delay-v3"}
    assert cluster.names(SERVICE) == {"departure-delay", "departure-delay-v2", "departure-delay-v3"}
    assert members(serving) == [3, 2, None]


def test_only_the_active_version_is_scaled_and_the_one_before_hands_its_clients_on(
    serving: KubernetesServing, cluster: ModelCluster
) -> None:
    served(serving, 1)
    cluster.change(DEPLOYMENT, "departure-delay-v1", {"spec": {"replicas": 4}})
    served(serving, 2)
    assert cluster.names(AUTOSCALER) == {"departure-delay-v2"}
    old = cluster.read(DEPLOYMENT, "departure-delay-v1")
    assert old is not None
    assert old["spec"]["replicas"] == MOUNTED.replicas_at_least
    assert old["spec"]["template"]["metadata"]["annotations"] == {RETIRED_BY: "2"}


def test_failed_switch_that_is_taken_back_leaves_all_as_it_was(
    serving: KubernetesServing, cluster: ModelCluster
) -> None:
    served(serving, 1, 2)
    serving.activate(started(serving, 3))
    serving.rollback(record_of(bundle(3), 3))
    assert members(serving) == [2, 1, None]
    assert cluster.names(AUTOSCALER) == {"departure-delay-v2"}
    assert cluster.names(DEPLOYMENT) == {"departure-delay-v1", "departure-delay-v2"}


def test_first_version_that_is_taken_back_leaves_nothing(serving: KubernetesServing, cluster: ModelCluster) -> None:
    serving.activate(started(serving, 1))
    serving.rollback(record_of(bundle(1), 1))
    assert cluster.objects == {}


def test_previous_version_can_be_given_the_traffic_again(serving: KubernetesServing) -> None:
    served(serving, 1, 2, 1)
    assert members(serving) == [1, 2, None]


@pytest.mark.parametrize(
    ("trouble", "error", "message"),
    [
        (waiting("ErrImagePull", "manifest unknown"), ConfigurationError, "ErrImagePull: manifest unknown"),
        (ended(65, "golden.json is not what it should be"), DataRejectedError, "golden.json is not"),
        (ended(1, "Traceback", restarts=3), TemporaryError, "exit code 1: Traceback"),
    ],
)
def test_version_that_does_not_come_up_is_removed_and_the_traffic_stays(
    serving: KubernetesServing, cluster: ModelCluster, trouble: dict[str, object], error: type[Exception], message: str
) -> None:
    served(serving, 1)
    cluster.troubles[bundle(2).digest] = trouble
    with pytest.raises(error, match=f"departure-delay-v2 does not become ready: .*{message}"):
        started(serving, 2)
    assert members(serving) == [1, None, None]
    assert cluster.names(DEPLOYMENT) == {"departure-delay-v1"}


def test_version_that_never_becomes_ready_is_reported_with_the_last_warning(cluster: ModelCluster) -> None:
    cluster.troubles[bundle(1).digest] = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    about = {"involvedObject": {"name": "departure-delay-v1-0"}, "type": "Warning", "reason": "FailedMount"}
    cluster.events.append({**about, "message": "no such volume"})
    with pytest.raises(TemporaryError, match=r"not ready within 0\.05 s: FailedMount: no such volume"):
        started(serving_on(cluster, start_seconds=0.05), 1)
    assert cluster.objects == {}


def test_traffic_that_does_not_arrive_is_pointed_back(cluster: ModelCluster) -> None:
    served(serving_on(cluster), 1)
    serving = serving_on(cluster, switch_seconds=0.05)
    record = started(serving, 2)
    cluster.is_stuck = True
    with pytest.raises(TemporaryError, match="the traffic of departure-delay at version 2 in vain"):
        serving.activate(record)
    assert members(serving) == [1, None, 2]
    serving.discard(record)
    assert members(serving) == [1, None, None]


def test_switch_after_which_the_cluster_refuses_is_taken_back(
    serving: KubernetesServing, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(serving, 1)
    record = started(serving, 2)
    apply = ModelCluster.apply

    def refuse(self: ModelCluster, kind: Kind, manifest: Manifest) -> Manifest:
        if kind is AUTOSCALER:
            raise ConfigurationError("may not make autoscalers")
        return apply(self, kind, manifest)

    with monkeypatch.context() as patched:
        patched.setattr(ModelCluster, "apply", refuse)
        with pytest.raises(ConfigurationError, match="may not make autoscalers"):
            serving.activate(record)
    assert members(serving) == [1, None, 2]


def test_first_traffic_that_does_not_arrive_is_taken_away(cluster: ModelCluster) -> None:
    serving = serving_on(cluster, switch_seconds=0.05)
    record = started(serving, 1)
    cluster.is_stuck = True
    with pytest.raises(TemporaryError, match="in vain"):
        serving.activate(record)
    assert "departure-delay" not in cluster.names(SERVICE)


def test_whoever_loses_the_race_for_the_traffic_changes_nothing(
    serving: KubernetesServing, cluster: ModelCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(serving, 1)
    two = started(serving, 2)
    read = ModelCluster.read

    def read_late(self: ModelCluster, kind: object, name: str) -> object:
        """What was read is old by the time it is used."""
        result = read(self, kind, name)  # type: ignore[arg-type]
        if result is not None and kind is SERVICE:
            self.apply(SERVICE, {**result, "metadata": {**result["metadata"], "resourceVersion": None}})
        return result

    with monkeypatch.context() as patched:
        patched.setattr(ModelCluster, "read", read_late)
        with pytest.raises(ConflictError, match="was changed by another writer"):
            serving.activate(two)
    assert members(serving) == [1, None, 2]


def test_killed_deployments_are_swept_by_the_next(serving: KubernetesServing, cluster: ModelCluster) -> None:
    served(serving, 1)
    started(serving, 2)
    started(serving, 3)
    assert members(serving) == [1, None, 3]
    assert cluster.names(DEPLOYMENT) == {"departure-delay-v1", "departure-delay-v3"}


def test_killed_candidate_of_another_bundle_makes_room(serving: KubernetesServing) -> None:
    started(serving, 1)
    record = started(serving, 1, bundle(2))
    assert record.digest == bundle(2).digest


def test_served_version_is_never_replaced_by_another_bundle_of_its_number(serving: KubernetesServing) -> None:
    served(serving, 1)
    with pytest.raises(ConfigurationError, match=r"is served already and is bundle .*the model registry was made anew"):
        started(serving, 1, bundle(2))
    assert members(serving) == [1, None, None]


def test_deployment_of_something_else_is_left_alone(serving: KubernetesServing, cluster: ModelCluster) -> None:
    metadata = {"name": "departure-delay-v1", "labels": {}, "annotations": {"ml-platform.org/bundle": "x"}}
    cluster.apply(DEPLOYMENT, {"metadata": metadata, "spec": {"replicas": 1}})
    with pytest.raises(ConfigurationError, match="'departure-delay-v1' in namespace 'models' is of something else"):
        started(serving, 1)


@pytest.mark.parametrize(
    ("minor", "artifact", "expected"),
    [(35, MOUNTED.artifact, IMAGE_VOLUME), (34, MOUNTED.artifact, INIT_CONTAINER), (36, None, INIT_CONTAINER)],
)
def test_bundle_is_mounted_where_the_cluster_can_and_fetched_elsewhere(
    serving: KubernetesServing, cluster: ModelCluster, minor: int, artifact: str | None, expected: str
) -> None:
    cluster.minor = minor
    record = serving.start(bundle(1), 1, SETTINGS, Placement(artifact=artifact))
    assert record.bundle_by == expected
    assert serving.activate(record).active == record


@pytest.mark.parametrize("artifact", [None, MOUNTED.artifact])
def test_bundle_that_pods_cannot_reach_is_the_configurations_fault(cluster: ModelCluster, artifact: str | None) -> None:
    cluster.minor = 30
    serving = KubernetesServing(cluster, "image", {"ML_OBJECTS_URI": "file:///srv"})
    with pytest.raises(ConfigurationError, match=r"ML_OBJECTS_URI='file:///srv'.*Set ML_ARTIFACT_REGISTRY"):
        serving.start(bundle(1), 1, SETTINGS, Placement(artifact=artifact))
    assert cluster.objects == {}


def test_image_that_serves_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ML_SERVING_IMAGE is not set"):
        open_kubernetes_serving("models", {"KUBECONFIG": str(tmp_path / "none")})
