import pytest

from include.stores.kubernetes.client import ApiCluster
from include.stores.kubernetes.memory import MemoryCluster
from include.stores.kubernetes.protocol import DEPLOYMENT, SERVICE, Cluster, Kind


@pytest.mark.parametrize("backend", [ApiCluster, MemoryCluster])
def test_each_backend_has_what_the_protocol_promises(backend: type[Cluster]) -> None:
    methods = {name for name in vars(Cluster) if not name.startswith("_") and callable(getattr(Cluster, name))}
    assert {"version", "read", "find", "create", "apply", "change", "delete", "proxied"} == methods
    assert methods <= vars(backend).keys()


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        (SERVICE, "", "/api/v1/namespaces/models/services"),
        (SERVICE, "delay", "/api/v1/namespaces/models/services/delay"),
        (DEPLOYMENT, "delay", "/apis/apps/v1/namespaces/models/deployments/delay"),
    ],
)
def test_path_of_the_core_group_and_of_others(kind: Kind, name: str, path: str) -> None:
    assert kind.path("models", name) == path
