"""The whole year job with every step a pod, as ``make cluster-run`` does it."""

import re

import pytest

from tests.support.cluster import running_platform
from tests.support.cluster.running_platform import ClusterPlatform

pytestmark = [
    pytest.mark.needs("cluster"),
    pytest.mark.needs("postgresql"),
    pytest.mark.needs("whole-year"),
    pytest.mark.e2e,
]

RUN_SECONDS = 2400.0


@pytest.fixture(scope="module")
def said(cluster_platform: ClusterPlatform) -> str:
    return running_platform.command("cluster-run", cluster_platform.variables, RUN_SECONDS)


def test_it_does_all_that_make_run_does(said: str) -> None:
    assert "Services: using those that 'make cluster-up' left running." in said
    assert re.search(r"rows in\s+\d{3},\d{3} of 10 partitions, 2013-01 to 2013-10", said)
    assert re.search(r"AUC of 2013-10\s+0\.[67]\d\d \(0\.\d{3} to 0\.\d{3}\)", said)
    assert re.search(r"served\s+departure_delay version 1", said)
    assert said.count("probability 0.") == 5


def test_it_tells_how_long_pods_took(said: str) -> None:
    assert re.search(r"ingest\s+10 pods, half of them worked .* and took .* or less", said)
    for step in ("train", "evaluate", "package", "deploy", "score"):
        assert re.search(rf"{step}\s+1 pod, ", said)


def test_the_model_is_an_artifact_in_the_registry_that_its_pods_mount(
    said: str, cluster_platform: ClusterPlatform
) -> None:
    place = cluster_platform.given.registry.removeprefix("http://")
    assert re.search(
        rf"artifact\s+{re.escape(place)}/ml-platform/models/flights/departure_delay@sha256:[0-9a-f]{{64}}", said
    )
    deployments = cluster_platform.kubectl.get("deployments", "--namespace", "ml-serving").get("items", [])
    (volumes,) = (one["spec"]["template"]["spec"]["volumes"] for one in deployments)
    mounted = [volume for volume in volumes if "image" in volume]
    way = re.search(r"gets into its pods\s+by (.*)", said)
    assert way
    assert bool(mounted) == (way[1] == "image volume")
