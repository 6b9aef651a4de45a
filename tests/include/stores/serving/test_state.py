import pytest

from include.errors import ConfigurationError
from include.stores.kubernetes.protocol import DEPLOYMENT, SERVICE
from include.stores.serving.names import DIGEST, OLDER, PLACEMENT, PREVIOUS, ServedNames
from include.stores.serving.settings import ANYWHERE, Placement
from include.stores.serving.state import read_state
from tests.support.servers.model_cluster import NAMESPACE, ModelCluster

NAMES = ServedNames("flights", "departure_delay")


def cluster(*versions: int, active: int | None = None, **kept: str) -> ModelCluster:
    result = ModelCluster()
    for version in versions:
        placement = Placement(replicas_at_least=version).model_dump_json()
        annotations = {DIGEST: f"sha256:{version}", PLACEMENT: placement}
        labels = NAMES.selecting_version(version)
        metadata = {"name": NAMES.of_version(version), "labels": labels, "annotations": annotations}
        result.apply(DEPLOYMENT, {"metadata": metadata, "spec": {"replicas": 1}})
    if active is not None:
        metadata = {"name": NAMES.traffic, "labels": NAMES.selecting, "annotations": kept}
        result.create(SERVICE, {"metadata": metadata, "spec": {"selector": NAMES.selecting_version(active)}})
    return result


def test_nothing_is_there_at_first() -> None:
    state = read_state(cluster(), NAMES)
    assert (state.active, state.previous, state.older, state.traffic_version) == (None, None, None, None)
    status = state.status()
    assert status.public_url == f"http://departure-delay.{NAMESPACE}.svc:8080"
    assert (status.active, status.previous, status.candidate) == (None, None, None)


def test_service_states_what_is_active_and_what_was_before() -> None:
    result = cluster(1, 2, 3, 4, active=3, **{PREVIOUS: "2", OLDER: "1"})
    state = read_state(result, NAMES)
    status = state.status()
    members = (status.active, status.previous, status.candidate)
    assert [record.version for record in members if record is not None] == [3, 2, 4]
    assert [version for version in (1, 2, 3, 4) if state.is_kept(version)] == [1, 2, 3]
    assert state.placement(2) == Placement(replicas_at_least=2)


def test_version_whose_deployment_is_gone_is_not_active() -> None:
    state = read_state(cluster(1, active=2), NAMES)
    assert state.active == 2
    assert state.status().active is None
    assert state.record_of(None) is None


def test_versions_of_other_models_are_not_seen() -> None:
    assert read_state(cluster(1, 2), ServedNames("bikes", "rides")).deployments == {}


def test_name_that_another_projects_model_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"is not that of model 'departure_delay' of project 'bikes'"):
        read_state(cluster(1, active=1), ServedNames("bikes", "departure_delay"))


def test_placement_that_is_none_is_the_least() -> None:
    result = cluster(1)
    result.objects["Deployment", "departure-delay-v1"]["metadata"]["annotations"][PLACEMENT] = "{}x"
    assert read_state(result, NAMES).placement(1) == ANYWHERE
