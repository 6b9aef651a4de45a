"""Tests on the cluster that the environment describes: they may connect to it, and share one platform."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.cluster import releases, running_platform
from tests.support.cluster.releases import Released
from tests.support.cluster.running_platform import ClusterPlatform

TIMEOUT_SECONDS = 3600
"""The first test of a session waits until images are built and the platform is up."""
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.enable_socket)
            if "cluster_platform" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def cluster_platform() -> Iterator[ClusterPlatform]:
    """The platform as ``make cluster-up`` brings it up, with the project ``faults`` beside the repository's own."""
    with running_platform.running() as platform:
        yield platform


@pytest.fixture(scope="session")
def released(cluster_platform: ClusterPlatform) -> Released:
    """The model of the project ``faults``, trained and served twice."""
    return releases.release(cluster_platform)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cluster says to the report of a test that failed."""
    report = yield
    platform = getattr(item, "funcargs", {}).get("cluster_platform")
    if call.when == "call" and call.excinfo is not None and isinstance(platform, ClusterPlatform):
        report.sections.append(("the cluster", platform.report()))
    return report
