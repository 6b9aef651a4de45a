"""A real Airflow on this machine, whose steps are pods of the cluster: for tests of the operators."""

import dataclasses
import io
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import boto3
from kubernetes import client, config
from kubernetes.client import models as k8s

from local_platform.cluster.environment import KUBERNETES_CONNECTION
from local_platform.cluster.manifests import AIRFLOW_ACCOUNT
from local_platform.console import Console
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.locations import State
from local_platform.services import credentials, ports, services
from local_platform.services.fleet import Fleet
from plugins.operators.pod.names import RUN_ID, SELECTOR
from tests.support.cluster import airflow_account
from tests.support.cluster.airflow_account import API_ACCOUNT

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 240.0
DAG = "flights_scoring"
TASK = "score"
CANARY = "canary-in-a-secret"


def setting(name: str) -> str:
    """A setting of the cluster; a test that needs it fails without it."""
    value = os.environ.get(name, "")
    assert value, f"{name} is not set: the cluster tests need it."
    return value


def wait_until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """The value of the condition once it is true."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"Gave up waiting for {what} after {seconds:g} s."
        time.sleep(0.25)
    return value


@dataclass(frozen=True)
class World:
    """Airflow, a namespace for its pods, a bucket for its data."""

    api: AirflowApi
    url: str
    namespace: str
    variables: dict[str, str] = field(repr=False)
    parts: dict[str, services.Service]
    """Airflow's processes, by name."""
    fleet: Fleet
    logs: Path
    kubeconfig: Path
    """With the token of the account that Airflow's processes have, but for its API server."""

    @cached_property
    def core(self) -> client.CoreV1Api:
        """The cluster, with the rights of whoever runs the tests."""
        return client.CoreV1Api()

    @cached_property
    def airflows_core(self) -> client.CoreV1Api:
        """The cluster, with the rights of Airflow's account."""
        return client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))

    def start(self, behaviour: str, **conf: Any) -> DagRun:
        """A run of one task whose pod does what the run's name states."""
        # Little CPU, so that a test does not wait for what else the cluster has to do.
        resources = {"score": {"cpu": 0.05, **conf.pop("resources", {}).get("score", {})}}
        given = {"partition": "2013-09", "resources": resources, **conf}
        return self.api.trigger(DAG, f"{behaviour}__{secrets.token_hex(4)}", given)

    def task(self, run: DagRun) -> TaskInstance:
        """The run's task as it is now."""
        [task] = self.api.tasks(DAG, [run.run])
        return task

    def wait(self, run: DagRun, *states: str, seconds: float = SECONDS) -> TaskInstance:
        """Wait until the task is in one of some states."""
        wait_until(lambda: self.task(run).state in states, f"{run.run} to be {states}, not {self.task(run)}", seconds)
        return self.task(run)

    def ended(self, run: DagRun, state: str) -> TaskInstance:
        """The task once its run has ended as it should."""
        wait_until(lambda: self.api.run(DAG, run.run).has_ended, f"{run.run} to end")
        assert self.api.run(DAG, run.run).state == state, self.log(run)
        return self.task(run)

    def pods(self, run: DagRun) -> list[k8s.V1Pod]:
        """Pods of one run."""
        pods = self.core.list_namespaced_pod(self.namespace, label_selector=SELECTOR).items
        return [pod for pod in pods if (pod.metadata.annotations or {}).get(RUN_ID) == run.run]

    def pod(self, run: DagRun, phase: str, *, attempt: int = 1) -> k8s.V1Pod:
        """The pod of an attempt once it is in a phase."""

        def pod_in_phase() -> k8s.V1Pod | None:
            return next(
                (
                    pod
                    for pod in self.pods(run)
                    if pod.metadata.name.endswith(f"-{attempt}") and pod.status.phase == phase
                ),
                None,
            )

        return wait_until(pod_in_phase, f"the pod of {run.run}, attempt {attempt}, to be {phase}")

    def log(self, run: DagRun, attempt: int | None = None) -> list[str]:
        """Lines of the task's log, as level and text."""
        lines = []
        for path in sorted((self.logs / f"dag_id={run.dag}" / f"run_id={run.run}").rglob("*.log")):
            if ".trigger." in path.name or attempt not in {None, int(path.stem.partition("=")[2] or 0)}:
                continue
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return [f"{line['level']}: {line['event']} {line.get('error_detail', '')}" for line in lines]

    def is_watched(self, run: DagRun) -> bool:
        """Whether the triggerer has begun to watch the pod of the run's sleeping task."""
        return any((self.logs / f"dag_id={run.dag}" / f"run_id={run.run}").rglob("*.trigger.*"))

    def mark(self, run: DagRun, state: str = "failed") -> None:
        """Set a task's state, as a person does in the web UI."""
        self.api._call("PATCH", f"/dags/{DAG}/dagRuns/{run.run}/taskInstances/{TASK}", {"new_state": state})

    def mark_run(self, run: DagRun, state: str) -> None:
        """Set a run's state, as a person does in the web UI."""
        self.api._call("PATCH", f"/dags/{DAG}/dagRuns/{run.run}", {"state": state})

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """End a part of Airflow, and start it again afterwards."""
        guard = self.fleet._guards.pop(service)
        assert guard.stdin
        # The end of its lifeline makes the guard stop the service.
        guard.stdin.close()
        guard.wait(60)
        try:
            yield
        finally:
            self.fleet.start(self.parts[service])
            self.fleet.wait([self.parts[service]])

    def restart(self, service: str) -> None:
        """End a part of Airflow and start it again."""
        with self.without(service):
            pass

    def outcomes(self, run: DagRun) -> list[dict[str, Any]]:
        """Outcomes of the run's attempts, as the steps recorded them."""
        prefix = f"objects/runs/flights/{run.run}/"
        rows = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [json.loads(self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()) for one in rows]

    def called_off(self, run: DagRun) -> list[str]:
        """Documents that revoked leases of the run's step."""
        prefix = f"objects/leases/flights/{run.run}/"
        rows = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [name for one in rows if (name := one["Key"].rpartition("/")[2]).startswith("revoked-")]

    def everything_stored(self) -> dict[str, bytes]:
        """All objects of the bucket."""
        rows = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"]: self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read() for one in rows}

    @property
    def bucket(self) -> str:
        """Its bucket."""
        return self.namespace

    @cached_property
    def s3(self) -> Any:
        """Its store."""
        return _s3()


def _s3() -> Any:
    return boto3.client(
        "s3",
        endpoint_url=setting("CLUSTER_S3_ENDPOINT"),
        aws_access_key_id=setting("CLUSTER_S3_ACCESS_KEY"),
        aws_secret_access_key=setting("CLUSTER_S3_SECRET_KEY"),
        region_name="us-east-1",
    )


@contextmanager
def airflow_world(folder: Path, image: str) -> Iterator[World]:
    """Bring all of it up, and take it away again."""
    config.load_kube_config()
    name = f"pods-{secrets.token_hex(4)}"
    with _namespace(name), _bucket(name):
        state = State(folder / "state")
        for path in (state.airflow, state.data):
            path.mkdir(parents=True)
        kubeconfig, api_servers = (folder / f"{account}.kubeconfig" for account in (AIRFLOW_ACCOUNT, API_ACCOUNT))
        for path in (kubeconfig, api_servers):
            airflow_account.write_kubeconfig(path, path.stem, setting("KUBECONFIG"), name)
        settings = services.Settings(state, ports.choose(state.ports, {}), credentials.provide(state.secrets))
        fleet = Fleet(state, Console(io.StringIO()))
        try:
            parts = _start(fleet, settings, _variables(name, image) | _connection(kubeconfig), _connection(api_servers))
            variables = dict(parts["airflow-scheduler"].variables)
            api = AirflowApi(settings.ports.airflow_url, "admin", settings.credentials.passwords["admin"])
            for dag in (DAG, "platform_maintenance"):
                wait_until(partial(api.has_dag, dag), f"the DAG {dag}")
            # Its reaper would delete pods that a test wants to look at.
            api.pause("platform_maintenance")
            api.unpause(DAG)
            yield World(
                api, settings.ports.airflow_url, name, variables, parts, fleet, state.airflow / "logs", kubeconfig
            )
        finally:
            fleet.stop()


def _connection(kubeconfig: Path) -> dict[str, str]:
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
    return {KUBERNETES_CONNECTION: json.dumps(connection)}


def _variables(name: str, image: str) -> dict[str, str]:
    bundle = {
        "name": "ml-platform",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(ROOT)},
    }
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "ML_EXECUTION": "kubernetes",
        "ML_STEP_IMAGE": image,
        "ML_ANY_CODE": "1",
        "ML_POD_NAMESPACE": name,
        "ML_TABLES_URI": f"s3://{name}/tables",
        "ML_OBJECTS_URI": f"s3://{name}/objects",
        "AWS_ENDPOINT_URL": setting("CLUSTER_S3_ENDPOINT"),
        "AWS_ACCESS_KEY_ID": setting("CLUSTER_S3_ACCESS_KEY"),
        "AWS_SECRET_ACCESS_KEY": setting("CLUSTER_S3_SECRET_KEY"),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _start(
    fleet: Fleet, settings: services.Settings, more: dict[str, str], api_servers: dict[str, str]
) -> dict[str, services.Service]:
    """
    Start Airflow.

    :param more: variables of all its parts beside the platform's.
    :param api_servers: those of the API server alone.
    """
    migration = services.migration(settings)
    if migration:
        fleet.complete(migration)
    variables = {**services.airflow(settings)[0].variables, **more}
    own = {"airflow-api-server": api_servers}
    needed = [
        dataclasses.replace(one, variables={**one.variables, **more, **own.get(one.name, {})})
        for one in services.airflow(settings)
    ]
    needed.append(services.triggerer(settings.ports.airflow_url, variables))
    for service in needed:
        fleet.start(service)
    fleet.wait(needed)
    return {one.name: one for one in needed}


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    core = client.CoreV1Api()
    # As the platform's own namespaces: a pod that needs more rights must fail here.
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace(k8s.V1Namespace(metadata=k8s.V1ObjectMeta(name=name, labels=labels)))
    try:
        for account in ("ml-step", "ml-deploy"):
            core.create_namespaced_service_account(name, k8s.V1ServiceAccount(metadata=k8s.V1ObjectMeta(name=account)))
        s3 = {
            "AWS_ACCESS_KEY_ID": setting("CLUSTER_S3_ACCESS_KEY"),
            "AWS_SECRET_ACCESS_KEY": setting("CLUSTER_S3_SECRET_KEY"),
        }
        mlflow = {"MLFLOW_TRACKING_USERNAME": "steps", "MLFLOW_TRACKING_PASSWORD": CANARY}
        for secret, values in (("ml-connection-s3", s3), ("ml-connection-mlflow", mlflow)):
            body = k8s.V1Secret(metadata=k8s.V1ObjectMeta(name=secret), string_data=values)
            core.create_namespaced_secret(name, body)
        yield
    finally:
        core.delete_namespace(name)


@contextmanager
def _bucket(name: str) -> Iterator[None]:
    s3 = _s3()
    s3.create_bucket(Bucket=name)
    try:
        yield
    finally:
        # S3 deletes only empty buckets, and lists at most a thousand objects at a time.
        while rows := s3.list_objects_v2(Bucket=name).get("Contents"):
            s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": one["Key"]} for one in rows]})
        s3.delete_bucket(Bucket=name)
