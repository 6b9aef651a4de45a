"""The platform on the cluster that the environment describes, for a session of tests: brought up, asked, taken away."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from include.stores.from_env import Stores
from local_platform import cli, fleet, lifecycle, processes
from local_platform.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.cluster import environment, manifests, passwords
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import S3_BUCKET, ClusterSettings
from local_platform.images import snapshot
from local_platform.locations import BUNDLE_VARIABLE, REPOSITORY, STATE_VARIABLE, State
from local_platform.services import Settings
from tests.cluster import buckets, fault_project

UP_SECONDS, DOWN_SECONDS, RUN_SECONDS = 1800.0, 600.0, 900.0
POLL_SECONDS = 0.5
SHOWN_CHARACTERS = 4000


@dataclass(frozen=True)
class ClusterPlatform:
    """A platform that runs, and ways to ask it."""

    state: State
    """Of ``make cluster-up``: its logs, ports and secrets."""
    bundle: Path
    """What Airflow runs: a copy of the repository's, with the project ``faults``."""
    variables: Mapping[str, str] = field(repr=False)
    """The environment that describes the cluster and this installation."""

    @cached_property
    def given(self) -> ClusterSettings:
        """The cluster, as it was described."""
        return ClusterSettings.from_environment(self.variables)

    @cached_property
    def settings(self) -> Settings:
        """Ports and passwords of the services on this machine."""
        return lifecycle.recall(self.state)

    @cached_property
    def airflow(self) -> AirflowApi:
        """Airflow, for its administrator."""
        return AirflowApi(self.settings.ports.airflow_url, "admin", self.settings.credentials.passwords["admin"])

    @cached_property
    def kubectl(self) -> Kubectl:
        """The cluster, with all rights."""
        return Kubectl(self.given.kubeconfig)

    @cached_property
    def mlflow(self) -> tuple[str, str, str]:
        """MLflow's address on loopback, user and password of the steps."""
        made = passwords.provide(self.state.secrets)
        return self.settings.ports.mlflow_url, passwords.MLFLOW_STEPS, made.mlflow_steps

    @cached_property
    def s3(self) -> Any:
        """boto3's client for the bucket ``given.s3_bucket``."""
        return buckets.client(self.given)

    def store_environment(self) -> dict[str, str]:
        """What a process on this machine needs to reach the stores; with secrets."""
        _, user, password = self.mlflow
        login = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        return environment.as_reached_here(self.settings, self.given) | login

    def stores(self, monkeypatch: pytest.MonkeyPatch) -> Stores:
        """The installation's stores, for one test: their clients read the process's environment."""
        told = self.store_environment()
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        return Stores(told)

    def put_day(self, partition: str, behaviour: str = "well") -> None:
        """Write a source file of project ``faults``: what its feature function does that day is in it."""
        fault_project.put_day(self.s3, self.given.s3_bucket, partition, behaviour)

    def start(self, dag: str, **conf: object) -> DagRun:
        """Start a run by hand, ``start("faults_data", partition="2024-01-05")``; waits until Airflow knows the DAG."""
        _until(lambda: self.airflow.has_dag(dag), 120.0, f"Airflow to read {dag}")
        self.airflow.unpause(dag)
        return self.airflow.trigger(dag, f"test__{secrets.token_hex(6)}", conf)

    def wait(self, run: DagRun, seconds: float = RUN_SECONDS) -> DagRun:
        """The run once it ended; fails the test, with tasks and logs, if it does not."""
        _until(lambda: self.airflow.run(run.dag, run.run).has_ended, seconds, f"{run.dag} {run.run}", self.told)
        return self.airflow.run(run.dag, run.run)

    def tasks(self, run: DagRun) -> dict[str, TaskInstance]:
        """Task instances of a run by task, mapped ones by ``task[index]``."""
        found = self.airflow.tasks(run.dag, [run.run])
        return {one.task if one.map_index < 0 else f"{one.task}[{one.map_index}]": one for one in found}

    def pods(self, *selectors: str) -> list[dict[str, Any]]:
        """Step pods that carry all of some labels, ``ml-platform.org/project=faults``."""
        words = ("pods", "--namespace", "ml-steps", "--selector", ",".join(selectors))
        found: list[dict[str, Any]] = self.kubectl.get(*words).get("items", [])
        return found

    def told(self) -> str:
        """What helps to see why something went wrong: pods, warnings, ends of logs."""
        asked = (("get", "pods", "-A"), ("get", "events", "-A", "--field-selector", "type=Warning"))
        parts = [f"kubectl {' '.join(words)}:\n{self.kubectl.call(*words)[-SHOWN_CHARACTERS:]}" for words in asked]
        parts += [f"{log.name}:\n{fleet.tail(log)}" for log in sorted(self.state.logs.glob("*.log"))]
        tasks = sorted(self.state.airflow.glob("logs/**/*.log*"), key=lambda path: path.stat().st_mtime)[-3:]
        parts += [f"{log.relative_to(self.state.airflow)}:\n{fleet.tail(log)}" for log in tasks]
        return "\n\n".join(parts)


@contextmanager
def running() -> Iterator[ClusterPlatform]:
    """The platform, brought up with a copy of the bundle that has the project ``faults``, and a bucket of its own."""
    with tempfile.TemporaryDirectory(prefix="cluster-of-tests-") as name, snapshot(REPOSITORY) as bundle:
        root = Path(name)
        root.chmod(0o711)  # PostgreSQL runs as another user
        bucket = f"ml-tests-{secrets.token_hex(4)}"
        fault_project.install(bundle, bucket)
        own = {STATE_VARIABLE: str(root), BUNDLE_VARIABLE: str(bundle), S3_BUCKET: bucket}
        kept = {one: value for one, value in os.environ.items() if not one.startswith(cli.FOREIGN)}
        platform = ClusterPlatform(State(root / "cluster"), bundle, kept | own)
        try:
            command("cluster-up", platform.variables, UP_SECONDS)
            yield platform
        finally:
            try:
                command("cluster-down", platform.variables, DOWN_SECONDS)
            finally:
                _call("tests.cluster.buckets", variables=platform.variables, seconds=DOWN_SECONDS)
            _require_nothing_left(platform)


def _require_nothing_left(platform: ClusterPlatform) -> None:
    """Fail unless ``cluster-down`` took everything away: namespaces, and processes of this machine."""
    there = {one["metadata"]["name"] for one in platform.kubectl.get("namespaces")["items"]}
    assert not there & set(manifests.NAMESPACES)
    assert processes.strays(f"{STATE_VARIABLE}={platform.state.root}", [], REPOSITORY) == []


def command(word: str, variables: Mapping[str, str], seconds: float) -> str:
    """One of the cluster commands, as make calls it; fails the test if it does."""
    done = _call("local_platform.cli", word, variables=variables, seconds=seconds)
    if done.returncode:
        logs = State(Path(variables[STATE_VARIABLE]) / "cluster").logs
        ends = "\n".join(f"{log.name}:\n{fleet.tail(log)}" for log in sorted(logs.glob("*.log")))
        pytest.fail(f"{word} ended with {done.returncode}:\n{done.stdout}\n{ends}")
    return done.stdout


def _call(*words: str, variables: Mapping[str, str], seconds: float) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=REPOSITORY, env=dict(variables), check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
    )  # fmt: skip


def _until(holds: Any, seconds: float, what: str, explain: Any = str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}\n{explain()}")
        time.sleep(POLL_SECONDS)
