from collections.abc import Iterator
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.packaging.files import GoldenTable, largest_difference
from include.stores.serving.control import record_of
from include.stores.serving.kubernetes import KubernetesServing
from include.stores.serving.local import LocalServing
from include.stores.serving.memory import MemoryServing
from include.stores.serving.open import open_serving
from include.stores.serving.protocol import ServingStore
from include.stores.serving.settings import ServingSettings
from tests.support.servers.model_cluster import ModelCluster, ended
from tests.support.serving_bundles import bundle, contradicting, running_supervisor

SETTINGS = ServingSettings(drain_seconds=2)


@pytest.fixture(params=["memory", "local", "kubernetes"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServingStore]:
    if request.param == "memory":
        yield MemoryServing()
        return
    if request.param == "kubernetes":
        yield fake_serving()
        return
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock") as server:
        yield LocalServing(server.control)


def test_life_of_versions(serving: ServingStore) -> None:
    one, two = bundle(1), bundle(2)
    assert serving.status("flights", "departure_delay").active is None
    first = serving.start(one, 1, SETTINGS)
    golden = one.golden()
    response = serving.predict(first.url or "", golden.rows)
    assert largest_difference(golden.predictions, response.predictions) <= 1e-12
    assert (response.version, response.digest) == ("1", one.digest)
    with pytest.raises(TemporaryError, match=r"does not answer|answers 503"):
        serving.predict(serving.status("flights", "departure_delay").public_url, golden.rows)

    status = serving.activate(record_of(one, 1))
    assert status.active is not None
    assert status.active.is_same(record_of(one, 1))
    assert serving.predict(status.public_url, golden.rows).version == "1"
    assert serving.activate(record_of(one, 1)).active == status.active

    serving.start(two, 2, SETTINGS)
    assert serving.predict(status.public_url, golden.rows).version == "1"
    serving.discard(record_of(two, 2))
    assert serving.status("flights", "departure_delay").candidate is None
    with pytest.raises(TemporaryError, match="was not started"):
        serving.activate(record_of(two, 2))

    serving.start(two, 2, SETTINGS)
    status = serving.activate(record_of(two, 2))
    assert status.previous is not None
    assert status.previous.is_same(record_of(one, 1))
    assert serving.predict(status.public_url, golden.rows).digest == two.digest

    with pytest.raises(TemporaryError, match="is not the active one; nothing was changed"):
        serving.rollback(record_of(one, 1))
    status = serving.rollback(record_of(two, 2))
    assert status.active is not None
    assert status.active.is_same(record_of(one, 1))
    assert status.previous is None
    assert serving.predict(status.public_url, golden.rows).version == "1"
    with pytest.raises(DataRejectedError, match="model requires column 'carrier'"):
        serving.predict(status.public_url, GoldenTable(columns=["x"], data=[[1]]))
    assert serving.rollback(record_of(one, 1)).active is None


def test_bundle_that_contradicts_itself_never_becomes_a_candidate(serving: ServingStore) -> None:
    with pytest.raises(DataRejectedError, match="differently than it did in training"):
        serving.start(contradicting(), 1, SETTINGS)
    assert serving.status("flights", "departure_delay").candidate is None


@pytest.mark.parametrize(
    "uri",
    ["", "http://127.0.0.1:80", "unix://host/path", "unix:relative", "/path", "kubernetes://", "kubernetes://a/b"],
)
def test_address_that_is_no_control_socket_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ML_SERVING_URI is .*unix:///path.*kubernetes://"):
        open_serving(uri, {})


def test_address_may_hold_escaped_characters() -> None:
    assert open_serving("unix:///tmp/a%20b/c.sock", {}) == LocalServing(Path("/tmp/a b/c.sock"))


def test_server_that_is_not_running_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="Is it running"):
        LocalServing(tmp_path / "none").status("flights", "departure_delay")


def test_serving_on_kubernetes_needs_its_image() -> None:
    with pytest.raises(ConfigurationError, match=r"ML_SERVING_IMAGE is not set.*make images"):
        open_serving("kubernetes://models", {})


def fake_serving() -> KubernetesServing:
    """The real store on a cluster in memory; a bundle that contradicts itself ends its server as it really does."""
    cluster = ModelCluster(bundles={known.digest: known for known in (bundle(1), bundle(2))})
    message = "The model answers its golden rows differently than it did in training."
    cluster.troubles[contradicting().digest] = ended(65, message)
    return KubernetesServing(cluster, "image@sha256:1", {"ML_OBJECTS_URI": "s3://bucket/objects"}, pause_seconds=0.0)
