from collections.abc import Iterator
from dataclasses import replace

import pytest

from local_platform.cluster.backing_services import bucket
from local_platform.cluster.errors import ClusterError
from local_platform.cluster.settings import ClusterSettings
from tests.support.servers.s3_server import CREDENTIALS, Fault, S3Server, running_s3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def given(server: S3Server) -> Iterator[ClusterSettings]:
    yield ClusterSettings(
        kubeconfig="k", registry="r", s3_endpoint=server.endpoint, s3_access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        s3_secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    server.heal()


@pytest.mark.parametrize(("name", "region"), [("ours-here", "us-east-1"), ("ours-there", "eu-central-1")])
def test_a_bucket_is_made_once(given: ClusterSettings, name: str, region: str) -> None:
    ours = replace(given, s3_bucket=name, s3_region=region)
    assert bucket.provide(ours)
    assert not bucket.provide(ours)


def test_a_refusal_names_the_bucket_and_the_cure(server: S3Server, given: ClusterSettings) -> None:
    server.break_with(Fault("denied"))
    with pytest.raises(ClusterError, match=r"refuses bucket 'ml-platform'.*name another bucket in CLUSTER_S3_BUCKET"):
        bucket.provide(given)


def test_an_endpoint_that_does_not_respond_is_reported(given: ClusterSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "ATTEMPTS", 1)
    with pytest.raises(ClusterError, match=r"S3 at http://127\.0\.0\.1:9 does not respond"):
        bucket.provide(replace(given, s3_endpoint="http://127.0.0.1:9"))
