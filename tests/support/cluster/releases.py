"""The life of the model of the project ``faults``, once for a session: collected, trained twice, served, scored."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from local_platform.cluster.manifests import SERVING
from local_platform.cluster.services import FORWARD, SERVING_PORT
from local_platform.cluster.settings import KUBECONFIG
from local_platform.demo import served_model
from local_platform.demo.airflow_api import DagRun
from local_platform.demo.served_model import Identity
from local_platform.locations import REPOSITORY
from local_platform.services.ports import LOOPBACK
from tests.support.cluster import fault_project
from tests.support.cluster.running_platform import ClusterPlatform

DAYS = tuple(f"2024-01-0{day}" for day in range(1, 7))
FIRST, SECOND = "2024-01-04", "2024-01-05"
"""Windows of three days each, by the day by which they have ended."""
UNUSED = {"2024-01-06": DAYS[4], "2024-01-07": DAYS[5]}
"""Windows that are left for others to train on, each with its last day."""
SCORED = "2024-01-05"
SWITCH_SECONDS = 60.0


@dataclass(frozen=True)
class Released:
    """What was done."""

    runs: list[DagRun]
    first: Identity
    """The model behind the traffic Service after the first deployment."""
    second: Identity
    """The same after the second one."""
    deployments: list[set[str]]
    """Names of the Deployments after each."""


def release(platform: ClusterPlatform) -> Released:
    """Collect six days, train and deploy twice, score a day."""
    for day in DAYS:
        platform.put_day(day)
    runs = done(platform, *[platform.start(f"{fault_project.NAME}_data", partition=day) for day in DAYS])
    runs += _trained(platform, FIRST)
    with forwarded(platform) as url:
        first, deployments = served_model.identify(url, SWITCH_SECONDS), [_deployments(platform)]
    runs += _trained(platform, SECOND)
    with forwarded(platform) as url:
        second = served_model.identify(url, SWITCH_SECONDS)
    deployments.append(_deployments(platform))
    runs += done(platform, platform.start(f"{fault_project.NAME}_scoring", partition=SCORED))
    return Released(runs, first, second, deployments)


def done(platform: ClusterPlatform, *runs: DagRun) -> list[DagRun]:
    """Runs once they ended; each must have ended well."""
    ended = [platform.wait(run) for run in runs]
    assert {run.state for run in ended} == {"success"}, platform.report()
    return ended


@contextmanager
def forwarded(platform: ClusterPlatform) -> Iterator[str]:
    """The URL of the traffic Service of the project's model, forwarded to a port of this machine."""
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    words = ["--namespace", SERVING, "--service", "fault-parcels", "--port", str(port), "--target", str(SERVING_PORT)]
    with subprocess.Popen(
        [sys.executable, "-m", FORWARD, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**platform.variables, KUBECONFIG: platform.given.kubeconfig},
    ) as process:  # fmt: skip
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()


def _trained(platform: ClusterPlatform, as_of: str) -> list[DagRun]:
    run = platform.start(f"{fault_project.NAME}_training", as_of=as_of)
    ended = done(platform, run)
    assert {task.state for task in platform.tasks(run).values()} == {"success"}, platform.tasks(run)
    return ended


def _deployments(platform: ClusterPlatform) -> set[str]:
    deployments = platform.kubectl.get("deployments", "--namespace", SERVING).get("items", [])
    return {one["metadata"]["name"] for one in deployments if one["metadata"]["name"].startswith("fault-parcels")}
