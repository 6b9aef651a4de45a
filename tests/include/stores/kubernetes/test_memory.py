import pytest

from include.errors import TemporaryError
from include.stores.kubernetes.memory import MemoryCluster
from include.stores.kubernetes.protocol import (
    DEPLOYMENT,
    ENDPOINTS,
    EVENT,
    POD,
    SERVICE,
    Cluster,
    ConflictError,
    Manifest,
)

LABELS = {"app": "delay"}


def deployment(name: str = "delay", replicas: int = 2) -> Manifest:
    return {"metadata": {"name": name, "labels": LABELS}, "spec": {"replicas": replicas}}


def service() -> Manifest:
    return {"metadata": {"name": "delay", "labels": LABELS}, "spec": {"selector": LABELS}}


def test_it_is_a_cluster() -> None:
    cluster: Cluster = MemoryCluster()
    assert (cluster.namespace, cluster.is_inside, cluster.version()) == ("models", False, (1, 36))


def test_what_is_read_is_a_copy() -> None:
    cluster = MemoryCluster()
    cluster.create(SERVICE, service())
    read = cluster.read(SERVICE, "delay")
    assert read is not None
    read["spec"]["selector"] = {}
    assert cluster.find(SERVICE, labels=LABELS)[0]["spec"]["selector"] == LABELS
    assert cluster.find(SERVICE, labels={"app": "other"}) == []


def test_an_object_is_created_once() -> None:
    cluster = MemoryCluster()
    cluster.create(SERVICE, service())
    with pytest.raises(ConflictError, match="Service delay is there already"):
        cluster.create(SERVICE, service())
    assert cluster.changes == ["create Service delay"]


def test_a_resource_version_that_is_not_the_newest_is_a_conflict() -> None:
    cluster = MemoryCluster()
    first = cluster.apply(SERVICE, service())
    second = cluster.apply(SERVICE, first)
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    with pytest.raises(ConflictError, match="changed by another writer"):
        cluster.apply(SERVICE, first)
    with pytest.raises(ConflictError, match="changed by another writer"):
        cluster.delete(SERVICE, "delay", resource_version=first["metadata"]["resourceVersion"])


def test_what_an_object_owns_goes_with_it() -> None:
    cluster = MemoryCluster()
    made = cluster.apply(DEPLOYMENT, deployment())
    owned = service()
    owned["metadata"]["ownerReferences"] = [{"uid": made["metadata"]["uid"]}]
    cluster.create(SERVICE, owned)
    cluster.delete(DEPLOYMENT, "delay")
    cluster.delete(DEPLOYMENT, "delay")
    assert cluster.objects == {}


def test_a_change_touches_only_its_fields() -> None:
    cluster = MemoryCluster()
    cluster.apply(DEPLOYMENT, deployment())
    cluster.change(DEPLOYMENT, "delay", {"spec": {"replicas": 1}, "metadata": {"annotations": {"a": "1"}}})
    cluster.change(DEPLOYMENT, "gone", {"spec": {}})
    changed = cluster.read(DEPLOYMENT, "delay")
    assert changed is not None
    assert (changed["spec"], changed["metadata"]["annotations"]) == ({"replicas": 1}, {"a": "1"})
    assert changed["metadata"]["labels"] == LABELS


def test_pods_and_endpoints_follow_at_once_unless_they_are_stuck() -> None:
    cluster = MemoryCluster()
    cluster.create(SERVICE, service())
    cluster.apply(DEPLOYMENT, deployment())
    endpoints = cluster.find(ENDPOINTS, labels={"kubernetes.io/service-name": "delay"})[0]["endpoints"]
    assert [endpoint["targetRef"]["name"] for endpoint in endpoints] == ["delay-0", "delay-1"]
    cluster.is_stuck = True
    cluster.delete(DEPLOYMENT, "delay")
    assert cluster.find(POD) == []
    assert cluster.find(ENDPOINTS)[0]["endpoints"] == endpoints


def test_a_service_responds_while_it_has_a_pod() -> None:
    cluster = MemoryCluster()
    with pytest.raises(TemporaryError, match="does not answer at delay:8080"):
        cluster.proxied("GET", "delay:8080", "health")
    cluster.create(SERVICE, service())
    cluster.apply(DEPLOYMENT, deployment(replicas=1))
    assert cluster.proxied("GET", "delay:8080", "health").status == 200


def test_events_are_selected_by_name() -> None:
    about = {"involvedObject": {"name": "delay-0"}}
    assert MemoryCluster(events=[about]).find(EVENT, fields="involvedObject.name=delay-0") == [about]
    assert MemoryCluster(events=[about]).find(EVENT, fields="involvedObject.name=delay-1") == []
