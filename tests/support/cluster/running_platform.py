"""The platform on the cluster that the environment describes, for a session of tests: started, used, removed."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from include.stores.installation import Stores
from local_platform import cli
from local_platform.cluster import environment, manifests
from local_platform.cluster.backing_services import passwords
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import HOST_ADDRESS, S3_BUCKET, S3_ENDPOINT, ClusterSettings
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.images import snapshot
from local_platform.locations import BUNDLE_VARIABLE, REPOSITORY, STATE_VARIABLE, State
from local_platform.services import fleet, lifecycle, processes
from local_platform.services.ports import LOOPBACK
from local_platform.services.services import Settings
from tests.support.cluster import buckets, fault_project, tcp_proxy
from tests.support.cluster.tcp_proxy import ProxiedServer

UP_SECONDS, DOWN_SECONDS, RUN_SECONDS = 1800.0, 600.0, 900.0
POLL_SECONDS = 0.5
OURS = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,clusterroles,clusterrolebindings"
"""Kinds of what the platform may leave in a cluster."""
NOT_OTHERS = (*manifests.NAMESPACES, "default", "kube-system", "")
"""Where nothing may be left; tests that run at the same time have namespaces of their own."""
EXCERPT_CHARACTERS = 4000


@dataclass(frozen=True)
class ClusterPlatform:
    """A running platform, and clients of its parts."""

    state: State
    """Of ``make cluster-up``: its logs, ports and secrets."""
    bundle: Path
    """What Airflow runs: a copy of the repository's, with the project ``faults``."""
    variables: Mapping[str, str] = field(repr=False)
    """The environment that describes the cluster and this installation."""
    s3_proxy: ProxiedServer
    """In front of S3, where that is without TLS, for all its clients: pods, Airflow, and the test."""
    api_proxy: ProxiedServer
    """In front of the API server, for Airflow alone."""

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
        variables = self.store_environment()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Stores(variables)

    def put_day(self, partition: str, behaviour: str = "well") -> None:
        """Write a source file of project ``faults``: what its feature function does that day is in it."""
        fault_project.put_day(self.s3, self.given.s3_bucket, partition, behaviour)

    def start(self, dag: str, **conf: object) -> DagRun:
        """Start a run by hand, ``start("faults_data", partition="2024-01-05")``; waits until Airflow knows the DAG."""
        until(lambda: self.airflow.has_dag(dag), 120.0, f"Airflow to read {dag}")
        self.airflow.unpause(dag)
        return self.airflow.trigger(dag, f"test__{secrets.token_hex(6)}", conf)

    def wait(self, run: DagRun, seconds: float = RUN_SECONDS) -> DagRun:
        """The run once it ended; fails the test, with tasks and logs, if it does not."""
        until(lambda: self.airflow.run(run.dag, run.run).has_ended, seconds, f"{run.dag} {run.run}", self.report)
        return self.airflow.run(run.dag, run.run)

    def clear_failed(self, run: DagRun) -> None:
        """Let tasks of a run that failed run again, and those after them, as a person does."""
        body = {"dry_run": False, "dag_run_id": run.run, "only_failed": True, "reset_dag_runs": True}
        self.airflow._call("POST", f"/dags/{run.dag}/clearTaskInstances", body)

    def tasks(self, run: DagRun) -> dict[str, TaskInstance]:
        """Task instances of a run by task, mapped ones by ``task[index]``."""
        rows = self.airflow.tasks(run.dag, [run.run])
        return {one.task if one.map_index < 0 else f"{one.task}[{one.map_index}]": one for one in rows}

    def pods(self, *selectors: str) -> list[dict[str, Any]]:
        """Step pods that carry all of some labels, ``ml-platform.org/project=faults``."""
        words = ("pods", "--namespace", "ml-steps", "--selector", ",".join(selectors))
        rows: list[dict[str, Any]] = self.kubectl.get(*words).get("items", [])
        return rows

    def report(self) -> str:
        """What explains a failure: pods, warnings, ends of logs."""
        calls = (("get", "pods", "-A"), ("get", "events", "-A", "--field-selector", "type=Warning"))
        parts = [f"kubectl {' '.join(words)}:\n{self.kubectl.call(*words)[-EXCERPT_CHARACTERS:]}" for words in calls]
        parts += [f"{log.name}:\n{fleet.tail(log)}" for log in sorted(self.state.logs.glob("*.log"))]
        tasks = sorted(self.state.airflow.glob("logs/**/*.log*"), key=lambda path: path.stat().st_mtime)[-3:]
        parts += [f"{log.relative_to(self.state.airflow)}:\n{fleet.tail(log)}" for log in tasks]
        return "\n\n".join(parts)


@contextmanager
def running() -> Iterator[ClusterPlatform]:
    """The platform, brought up with a copy of the bundle that has the project ``faults``, and a bucket of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="cluster-of-tests-") as name,
        snapshot(REPOSITORY) as bundle,
        _proxies() as (s3_proxy, api_proxy),
    ):
        root = Path(name)
        # PostgreSQL runs as another user and has to enter the folder.
        root.chmod(0o711)
        bucket = f"ml-tests-{secrets.token_hex(4)}"
        fault_project.install(bundle, bucket)
        own = {STATE_VARIABLE: str(root), BUNDLE_VARIABLE: str(bundle), S3_BUCKET: bucket}
        if os.environ[S3_ENDPOINT].startswith("http:") and os.environ.get(HOST_ADDRESS):
            # Under TLS the certificate of S3 would not fit the proxy's name.
            own[S3_ENDPOINT] = f"http://{s3_proxy.address}"
        kept = {one: value for one, value in os.environ.items() if not one.startswith(cli.FOREIGN)}
        platform = ClusterPlatform(State(root / "cluster"), bundle, kept | own, s3_proxy, api_proxy)
        try:
            command("cluster-up", platform.variables, UP_SECONDS)
            _use_proxy(platform.state.secrets / "airflow.kubeconfig", api_proxy)
            yield platform
        finally:
            try:
                command("cluster-down", platform.variables, DOWN_SECONDS)
            finally:
                _call("tests.support.cluster.buckets", variables=platform.variables, seconds=DOWN_SECONDS)
            _require_nothing_left(platform)


@contextmanager
def _proxies() -> Iterator[tuple[ProxiedServer, ProxiedServer]]:
    """Run proxies in front of S3 and of the API server."""
    given = ClusterSettings.from_environment(os.environ)
    config = json.loads(Kubectl(given.kubeconfig).call("config", "view", "--minify", "--output", "json"))
    servers = [urlsplit(url) for url in (given.s3_endpoint, config["clusters"][0]["cluster"]["server"])]
    s3, api = (f"{one.hostname}:{one.port or (80 if one.scheme == 'http' else 443)}" for one in servers)
    with tcp_proxy.opened(given.host_address or LOOPBACK, s3) as s3_proxy, tcp_proxy.opened(LOOPBACK, api) as api_proxy:
        yield s3_proxy, api_proxy


def _use_proxy(kubeconfig: Path, proxy: ProxiedServer) -> None:
    """Let a kubeconfig name the proxy in front of the API server; the server's certificate is still verified."""
    config = json.loads(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    cluster |= {"tls-server-name": urlsplit(cluster["server"]).hostname, "server": f"https://{proxy.address}"}
    kubeconfig.write_text(json.dumps(config))


def _require_nothing_left(platform: ClusterPlatform) -> None:
    """Fail unless ``cluster-down`` took all away: namespaces, what else is labelled, processes of this machine."""
    there = {one["metadata"]["name"] for one in platform.kubectl.get("namespaces")["items"]}
    assert not there & set(manifests.NAMESPACES)
    labelled = (
        "--all-namespaces",
        "--selector",
        ",".join(f"{name}={value}" for name, value in manifests.MANAGED.items()),
    )
    left = [(one["kind"], one["metadata"]) for one in platform.kubectl.get(OURS, *labelled).get("items", [])]
    assert [(kind, meta["name"]) for kind, meta in left if meta.get("namespace", "") in NOT_OTHERS] == []
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


def until(holds: Callable[[], object], seconds: float, what: str, explain: Callable[[], str] = str) -> None:
    """Wait until a condition holds; fails the test, with the text of ``explain``, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"gave up waiting for {what} after {seconds:.0f} s\n{explain()}")
        time.sleep(POLL_SECONDS)
