"""Models served by a real cluster: versions follow one another under load, and what is broken never gets traffic."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as kubernetes_client

from include.contract import settings as names
from include.contract.layout import bundle_prefix
from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError
from include.packaging.files import MANIFEST, Bundle, largest_difference
from include.stores.artifacts.open import open_artifacts
from include.stores.artifacts.protocol import ArtifactStore
from include.stores.kubernetes.protocol import AUTOSCALER, BUDGET, DEPLOYMENT, EVENT, POD, POLICY, SERVICE, Cluster
from include.stores.objects.open import open_objects
from include.stores.serving.control import ModelRecord, record_of
from include.stores.serving.kubernetes import KubernetesServing
from include.stores.serving.manifests import IMAGE_VOLUME, INIT_CONTAINER
from include.stores.serving.settings import Placement, ServingSettings
from local_platform.console import Console
from local_platform.images import ArtifactRegistry, provide
from local_platform.locations import REPOSITORY
from tests.support.cluster.cluster_kit import (
    CLIENTS,
    make_secret,
    namespace,
    running,
    s3_environment,
    setting,
    wait_for,
)
from tests.support.serving_bundles import bundle, contradicting, split_body
from tests.support.serving_bundles import rows as some_rows

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

SETTINGS = ServingSettings(drain_seconds=5)
SMALL = {"cpu": 0.2, "memory": "512Mi"}
BUILT = ("step", "serving")
NOWHERE = "@sha256:" + "0" * 64
DEPLOY = """
import json, os, time
from include.governance.rollout import retried_predictions
from include.stores.installation import Stores
from include.stores.serving.settings import Placement, ServingSettings
from include.stores.objects.bundles import sealed_bundle
stores, began = Stores(), time.monotonic()
bundle = sealed_bundle(stores.objects, "flights", os.environ["DIGEST"])
placement = Placement(artifact=os.environ["ARTIFACT"], cpu=0.1, memory="512Mi")
record = stores.serving.start(bundle, int(os.environ["VERSION"]), ServingSettings(drain_seconds=5), placement)
started = time.monotonic()
golden = bundle.golden()
answers = [retried_predictions(stores.serving, record.url, golden.rows)]
status = stores.serving.activate(record)
answers.append(retried_predictions(stores.serving, status.public_url, golden.rows))
stores.serving.settle(record)
same = all(answer.predictions == golden.predictions for answer in answers)
print(json.dumps({"same": same, "start_seconds": started - began, "switch_seconds": time.monotonic() - started,
                  "active": status.active.version, "previous": status.previous and status.previous.version}))
"""
"""What the deploy step does to the store, from a pod with the account of the deploy step."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with namespace("serving-test") as found:
        make_secret(found, "ml-connection-s3", s3_secret())
        yield found


def s3_secret() -> dict[str, str]:
    return {name: s3_environment()[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """References by target: those that ``CLUSTER_STEP_IMAGE`` and ``CLUSTER_SERVING_IMAGE`` name, or new images."""
    given = {target: os.environ.get(f"CLUSTER_{target.upper()}_IMAGE", "") for target in BUILT}
    if all(given.values()):
        return given
    base = os.environ.get("CLUSTER_IMAGE_BASE", "")
    return provide(ArtifactRegistry.parse(setting("CLUSTER_REGISTRY")), BUILT, Console(), base)


@pytest.fixture(scope="module")
def environment(images: dict[str, str]) -> dict[str, str]:
    """The installation's settings, as the deploy step has them."""
    bucket = os.environ.get("CLUSTER_S3_BUCKET", "ml-platform")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in s3_environment().items():
            patched.setenv(name, value)
        from boto3.session import Session

        client = Session().client("s3")
        if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
    objects = f"s3://{bucket}/serving-test"
    return {names.SERVING_IMAGE: images["serving"], names.OBJECTS_URI: objects, **s3_environment()}


@pytest.fixture
def serving(cluster: Cluster, environment: dict[str, str]) -> KubernetesServing:
    return KubernetesServing(cluster, environment[names.SERVING_IMAGE], environment)


@pytest.fixture(scope="module")
def artifacts() -> ArtifactStore:
    return open_artifacts(setting("CLUSTER_REGISTRY"), {})


def mounted(artifacts: ArtifactStore, made: Bundle, **changes: Any) -> Placement:
    return Placement(artifact=artifacts.push(made), **{**SMALL, **changes})


def deployed(serving: KubernetesServing, placement: Placement, made: Bundle, version: int) -> ModelRecord:
    """Deploy as the deploy step does."""
    record = serving.start(made, version, SETTINGS, placement)
    golden = made.golden()
    found = serving.predict(record.url or "", golden.rows)
    assert (found.version, found.digest) == (str(version), made.digest)
    assert largest_difference(golden.predictions, found.predictions) <= 1e-9
    serving.activate(record)
    serving.settle(record)
    return record


def members(serving: KubernetesServing) -> list[int | None]:
    status = serving.status("flights", "departure_delay")
    return [None if found is None else found.version for found in (status.active, status.previous, status.candidate)]


def told(record_property: Any, **numbers: float) -> None:
    """Numbers for the report, and for whoever runs with ``-s``."""
    for name, value in numbers.items():
        record_property(name, round(value, 3))
        print(f"{name}: {value:.3f}")  # noqa: T201 (for a person)


def test_registry_keeps_an_artifact_by_its_digest(artifacts: ArtifactStore, record_property: Any) -> None:
    made = bundle(1)
    began = time.monotonic()
    reference = artifacts.push(made)
    first = time.monotonic()
    assert artifacts.push(bundle(1)) == reference
    told(record_property, push_seconds=first - began, push_again_seconds=time.monotonic() - first)
    assert artifacts.exists(reference)
    assert not artifacts.exists(reference.partition("@")[0] + NOWHERE)
    assert reference.startswith(setting("CLUSTER_REGISTRY").partition("://")[2])


def test_first_version_is_mounted_and_answers(
    serving: KubernetesServing, artifacts: ArtifactStore, cluster: Cluster, record_property: Any
) -> None:
    made = bundle(1)
    placement = mounted(artifacts, made)
    began = time.monotonic()
    record = deployed(serving, placement, made, 1)
    told(record_property, deploy_seconds=time.monotonic() - began)
    assert record.bundle_by == IMAGE_VOLUME
    assert members(serving) == [1, None, None]
    for kind in (DEPLOYMENT, SERVICE, POLICY, BUDGET, AUTOSCALER):
        assert cluster.read(kind, "departure-delay-v1") is not None
    pulled = [event["message"] for event in cluster.find(EVENT) if str(placement.artifact) in event.get("message", "")]
    print(pulled)  # noqa: T201 (how long the artifact took)


def test_requests_from_another_pod_see_the_switch_and_no_failure(
    serving: KubernetesServing,
    artifacts: ArtifactStore,
    cluster: Cluster,
    images: dict[str, str],
    record_property: Any,
) -> None:
    url = serving.status("flights", "departure_delay").public_url
    body = split_body(some_rows(1)).decode()
    stream = running(cluster, images["step"], CLIENTS, {"URL": url, "BODY": body, "UNTIL_VERSION": "2"})
    wait_for(lambda: "begun" in stream.log(), "the first answers")
    began = time.monotonic()
    deployed(serving, mounted(artifacts, bundle(2)), bundle(2), 2)
    switched = time.monotonic()
    found = stream.result()
    told(record_property, deploy_under_load_seconds=switched - began, longest_silence_seconds=found["longest_silence"])
    print(found)  # noqa: T201 (for a person)
    assert found["failed"] == 0, found
    assert found["requests"] >= 3000
    assert all(count > 0 for count in found["by_version"].values())
    assert set(found["by_version"]) == {"1", "2"}
    assert set(found["last_versions"]) == {"2"}, "a client that kept its connection must have been handed on"
    assert members(serving) == [2, 1, None]


@dataclass(frozen=True)
class Broken:
    """A version that cannot come up, and what is said of it."""

    error: type[PlatformError]
    message: str
    made: Bundle
    image: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    start_seconds: float = 240


BROKEN = {
    "contradicts itself": lambda _known: Broken(
        DataRejectedError, "differently than it did in training", contradicting()
    ),
    "out of memory": lambda _known: Broken(
        ConfigurationError, r"raise serving\.memory", bundle(3), changes={"memory": "24Mi"}
    ),
    "unknown image": lambda known: Broken(
        ConfigurationError, r"ErrImagePull: .*NotFound", bundle(3), image=elsewhere(known.image)
    ),
    "unknown artifact": lambda known: Broken(
        ConfigurationError, r"ErrImagePull: .*NotFound", bundle(3), changes={"artifact": elsewhere(known.artifact)}
    ),
    "unschedulable": lambda _known: Broken(
        TemporaryError, "no node takes it", bundle(3), changes={"cpu": 900.0}, start_seconds=5
    ),
}


@dataclass(frozen=True)
class Known:
    """What is there."""

    image: str
    artifact: str


def elsewhere(reference: str) -> str:
    return reference.partition("@")[0] + NOWHERE


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_version_leaves_the_traffic_and_is_removed(
    serving: KubernetesServing, artifacts: ArtifactStore, cluster: Cluster, kind: str
) -> None:
    before = members(serving)
    broken = BROKEN[kind](Known(serving.image, artifacts.push(bundle(3))))
    started = replace(serving, image=broken.image or serving.image, start_seconds=broken.start_seconds)
    placement = mounted(artifacts, broken.made).model_copy(update=broken.changes)
    with pytest.raises(broken.error, match=f"departure-delay-v3 .*{broken.message}"):
        started.start(broken.made, 3, SETTINGS, placement)
    assert members(serving) == before
    assert cluster.read(DEPLOYMENT, "departure-delay-v3") is None
    wait_for(lambda: cluster.read(SERVICE, "departure-delay-v3") is None, "the end of the version's Service")
    golden = bundle(2).golden()
    assert serving.predict(serving.status("flights", "departure_delay").public_url, golden.rows).version == "2"


def test_bundle_is_fetched_where_it_cannot_be_mounted(
    serving: KubernetesServing, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    seal(bundle(4), environment, monkeypatch)
    began = time.monotonic()
    record = deployed(serving, Placement(**SMALL), bundle(4), 4)
    told(record_property, deploy_with_init_container_seconds=time.monotonic() - began)
    assert record.bundle_by == INIT_CONTAINER
    assert members(serving) == [4, 2, None]


def seal(made: Bundle, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a bundle in S3 as the package step does."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    objects, prefix = open_objects(environment[names.OBJECTS_URI]), bundle_prefix("flights", made.digest)
    for name, content in {**made.contents, MANIFEST: made.manifest.content()}.items():
        objects.seal(prefix + name, content)


def test_secret_that_is_missing_is_told_at_once(environment: dict[str, str]) -> None:
    with namespace("serving-test") as bare:
        serving = KubernetesServing(bare, environment[names.SERVING_IMAGE], environment)
        with pytest.raises(ConfigurationError, match='secret "ml-connection-s3" not found'):
            serving.start(bundle(4), 1, SETTINGS, Placement(**SMALL))


def test_bundle_that_is_not_in_the_store_is_the_datas_fault(serving: KubernetesServing) -> None:
    with pytest.raises(DataRejectedError, match="There is no such object"):
        serving.start(bundle(6), 6, SETTINGS, Placement(**SMALL))


def test_rollback_gives_the_traffic_back(serving: KubernetesServing, cluster: Cluster, record_property: Any) -> None:
    began = time.monotonic()
    serving.rollback(record_of(bundle(4), 4))
    told(record_property, rollback_seconds=time.monotonic() - began)
    assert members(serving) == [2, None, None]
    assert (
        serving.predict(serving.status("flights", "departure_delay").public_url, bundle(2).golden().rows).version == "2"
    )
    wait_for(lambda: not cluster.find(POD, labels={"ml-platform.org/version": "4"}), "the end of version 4")


def test_account_of_the_deploy_step_may_do_all_of_it_from_its_pod(
    cluster: Cluster,
    artifacts: ArtifactStore,
    environment: dict[str, str],
    images: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grant(cluster)
    for version in (7, 8):
        made = bundle(version)
        seal(made, environment, monkeypatch)
        arguments = {"DIGEST": made.digest, "VERSION": str(version), "ARTIFACT": str(mounted(artifacts, made).artifact)}
        given = {**environment, names.SERVING_URI: f"kubernetes://{cluster.namespace}", **arguments}
        account = {"serviceAccountName": "ml-deploy", "automountServiceAccountToken": True}
        found = running(cluster, images["step"], DEPLOY, given, **account).result()
        print(json.dumps(found))  # noqa: T201 (for a person)
        assert found["same"]
        assert found["active"] == version
    assert found["previous"] == 7


def grant(cluster: Cluster) -> None:
    """The account and the role that ``helm-values/cluster`` gives the deploy step, in this namespace."""
    text = (Path(REPOSITORY) / "helm-values" / "cluster" / "base" / "roles.yaml").read_text()
    (role,) = [
        found
        for found in yaml.safe_load_all(text)
        if (found["kind"], found["metadata"]["name"]) == ("Role", "ml-deploy")
    ]
    metadata = {"name": "ml-deploy", "namespace": cluster.namespace}
    kubernetes_client.CoreV1Api().create_namespaced_service_account(cluster.namespace, {"metadata": metadata})
    rights = kubernetes_client.RbacAuthorizationV1Api()
    rights.create_namespaced_role(cluster.namespace, {"metadata": metadata, "rules": role["rules"]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ml-deploy"}
    subject = {"kind": "ServiceAccount", **metadata}
    binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
    rights.create_namespaced_role_binding(cluster.namespace, binding)
