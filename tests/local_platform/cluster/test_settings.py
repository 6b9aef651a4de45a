import pytest

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.settings import REQUIRED, ClusterSettings
from local_platform.images import ImageError

WHOLE = {
    "KUBECONFIG": "/home/me/.kube/config",
    "CLUSTER_REGISTRY": "http://10.0.0.1:5000/ml",
    "CLUSTER_S3_ENDPOINT": "http://10.0.0.1:9000",
    "CLUSTER_S3_ACCESS_KEY": "me",
    "CLUSTER_S3_SECRET_KEY": "canary-of-s3",
    "CLUSTER_HOST_ADDRESS": "10.0.0.1",
}


def test_what_is_left_out_has_a_value() -> None:
    settings = ClusterSettings.from_environment(WHOLE)
    assert (settings.s3_bucket, settings.s3_region, settings.postgres) == ("ml-platform", "us-east-1", "")
    assert ClusterSettings.from_environment(WHOLE | {"CLUSTER_S3_BUCKET": "ours"}).s3_bucket == "ours"


def test_all_that_is_missing_is_reported_at_once_with_its_meaning() -> None:
    with pytest.raises(ClusterError, match="Settings of the cluster are missing or malformed") as caught:
        ClusterSettings.from_environment({})
    message = str(caught.value)
    for name, meaning in REQUIRED.items():
        assert f"{name} is not set: {meaning}" in message
    assert "CLUSTER_HOST_ADDRESS is not set" in message
    assert "docs/how-to/cluster.md has an example." in message


def test_a_blank_value_is_a_missing_one() -> None:
    with pytest.raises(ClusterError, match="CLUSTER_REGISTRY is not set"):
        ClusterSettings.from_environment(WHOLE | {"CLUSTER_REGISTRY": " "})


def test_with_a_postgresql_elsewhere_this_machine_needs_no_address() -> None:
    given = WHOLE | {"CLUSTER_HOST_ADDRESS": "", "CLUSTER_POSTGRES": "postgresql://admin:canary-of-pg@db.example:5432"}
    assert ClusterSettings.from_environment(given).postgres.endswith("@db.example:5432")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CLUSTER_S3_ENDPOINT", "10.0.0.1:9000", "CLUSTER_S3_ENDPOINT is '10.0.0.1:9000', which is no URL"),
        (
            "CLUSTER_POSTGRES",
            "mysql://a:b@c",
            "CLUSTER_POSTGRES is not of the form postgresql://user:password@host:port",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        ClusterSettings.from_environment(WHOLE | {name: value})


def test_a_registry_of_another_scheme_is_refused_by_its_variable() -> None:
    with pytest.raises(ImageError, match="CLUSTER_REGISTRY is 'docker://host'"):
        ClusterSettings.from_environment(WHOLE | {"CLUSTER_REGISTRY": "docker://host"})


def test_no_secret_shows_in_a_representation() -> None:
    given = WHOLE | {"CLUSTER_POSTGRES": "postgresql://admin:canary-of-pg@db.example:5432"}
    assert "canary" not in repr(ClusterSettings.from_environment(given))
