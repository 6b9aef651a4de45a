"""
Pods, a namespace that remembers them, and a task that makes them: for tests of the operators without Kubernetes.

The namespace stands behind ``CoreV1Api``, which the operators have from Airflow. The objects of model servers have
another client, and their cluster in memory is in ``tests/support/servers/model_cluster.py``.
"""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s

from include.contract.command import StepCommand
from include.contract.layout import outcome_key, receipt_key
from include.contract.receipt import Outcome, OutcomeStatus, Receipt
from include.contract.step_names import StepName
from include.spec.resources import ResourceSpec
from include.stores.objects.memory import MemoryObjects
from plugins.operators.pod.names import PodIdentity
from plugins.operators.pod.spec import step_pod
from tests.support.servers.api_errors import refused
from tests.support.step_results import least

NAMESPACE = "steps"
IMAGE = "registry.example.org/step@sha256:0"
SETTINGS = {
    "ML_STEP_IMAGE": IMAGE,
    "ML_POD_NAMESPACE": NAMESPACE,
    "ML_TABLES_URI": "s3://bucket/tables",
    "ML_OBJECTS_URI": "s3://bucket/objects",
    "AWS_SECRET_ACCESS_KEY": "never-in-a-pod",
}
COMMAND = StepCommand(step=StepName.TRAIN, project="flights", partition="2013-09", run="manual__1")


def pod_task(**more: Any) -> PodIdentity:
    given: dict[str, Any] = {
        "dag_id": "flights_training", "run_id": "manual__1", "task_id": "train", "map_index": -1, "try_number": 1,
        "task_instance": "id-1", "project": "flights", "step": "train", "subject": "2013-09",
    }  # fmt: skip
    return PodIdentity(**given | more)


def made(there: k8s.V1PodStatus, **task: Any) -> k8s.V1Pod:
    """A step's pod that the cluster has; what its task is called otherwise than usual."""
    pod = step_pod(pod_task(**task), ["train"], [], image="i", namespace=NAMESPACE, resources=ResourceSpec())
    pod.metadata.creation_timestamp = datetime.now(UTC)
    pod.status = there
    return pod


def status(
    phase: str = "Pending", reason: str | None = None, message: str | None = None, **more: Any
) -> k8s.V1PodStatus:
    """
    A pod's status.

    :param more: ``waiting``, ``running`` or ``terminated`` of its container; ``conditions``.
    """
    conditions = more.pop("conditions", None)
    state = k8s.V1ContainerState(**more)
    container = k8s.V1ContainerStatus(
        name="step", image="i", image_id="i", ready=False, restart_count=0, state=state
    )  # fmt: skip
    return k8s.V1PodStatus(
        phase=phase, reason=reason, message=message, conditions=conditions,
        container_statuses=[container] if more else None,
    )  # fmt: skip


def waiting(reason: str, message: str = "") -> k8s.V1PodStatus:
    return status(waiting=k8s.V1ContainerStateWaiting(reason=reason, message=message))


def running() -> k8s.V1PodStatus:
    return status("Running", running=k8s.V1ContainerStateRunning(started_at=datetime.now(UTC)))


def ended(
    exit_code: int = 0, container_reason: str | None = None, said: str | None = None, **more: Any
) -> k8s.V1PodStatus:
    end = k8s.V1ContainerStateTerminated(
        exit_code=exit_code, reason=container_reason or ("Error" if exit_code else "Completed"), message=said,
        finished_at=more.pop("at", None) or datetime.now(UTC),
    )  # fmt: skip
    return status("Failed" if exit_code else "Succeeded", terminated=end, **more)


def unschedulable(message: str = "0/1 nodes are available: 1 Insufficient memory.") -> k8s.V1PodStatus:
    condition = k8s.V1PodCondition(type="PodScheduled", status="False", reason="Unschedulable", message=message)
    return status(conditions=[condition])


class FakePods:
    """A namespace's pods, behind the real client's methods."""

    def __init__(self) -> None:
        self.pods: dict[str, k8s.V1Pod] = {}
        self.deleted: list[str] = []
        self.logs = b""
        self.events: list[tuple[str, str]] = []
        self.next_status: list[k8s.V1PodStatus | Exception | None] = []
        """What the next reads find: a status, a failure, or None for a pod that is gone; the last one stays."""
        self.refusals: list[Exception] = []
        """Errors that creating a pod raises before it works."""
        self.created = 0
        self.client = create_autospec(CoreV1Api, instance=True)
        self.client.create_namespaced_pod.side_effect = self._create
        self.client.read_namespaced_pod.side_effect = self._read
        self.client.delete_namespaced_pod.side_effect = self._delete
        self.client.list_namespaced_pod.side_effect = self._list
        self.client.read_namespaced_pod_log.side_effect = lambda *_, **__: SimpleNamespace(data=self.logs)
        self.client.list_namespaced_event.side_effect = lambda *_, **__: SimpleNamespace(
            items=[SimpleNamespace(reason=reason, message=message) for reason, message in self.events]
        )

    def put(self, pod: k8s.V1Pod, there: k8s.V1PodStatus | None = None) -> k8s.V1Pod:
        pod.metadata.uid = pod.metadata.uid or f"uid-{len(self.pods)}-{self.created}"
        pod.metadata.creation_timestamp = pod.metadata.creation_timestamp or datetime.now(UTC)
        pod.status = there or pod.status or status()
        self.pods[pod.metadata.name] = pod
        return pod

    def _create(self, namespace: str, body: k8s.V1Pod, **_: Any) -> k8s.V1Pod:
        assert namespace == NAMESPACE
        if self.refusals:
            raise self.refusals.pop(0)
        if body.metadata.name in self.pods:
            raise refused(409, "AlreadyExists", f'pods "{body.metadata.name}" already exists')
        self.created += 1
        return self.put(body)

    def _read(self, name: str, namespace: str, **_: Any) -> k8s.V1Pod:
        assert namespace == NAMESPACE
        if self.next_status:
            status = self.next_status.pop(0) if len(self.next_status) > 1 else self.next_status[0]
            if isinstance(status, Exception):
                raise status
            if status is None:
                self.pods.pop(name, None)
            elif name in self.pods:
                self.pods[name].status = status
        if name not in self.pods:
            raise refused(404, "NotFound", f'pods "{name}" not found')
        return self.pods[name]

    def _delete(self, name: str, namespace: str, **more: Any) -> None:
        assert namespace == NAMESPACE
        pod = self.pods.get(name)
        if pod is None:
            raise refused(404, "NotFound", f'pods "{name}" not found')
        wanted = more["body"].preconditions.uid if more.get("body") else None
        if wanted not in {None, pod.metadata.uid}:
            raise refused(409, "Conflict", "the UID in the precondition does not match")
        self.deleted.append(name)
        del self.pods[name]

    def _list(self, _namespace: str, label_selector: str, **_: Any) -> Any:
        terms = [term.partition("=")[::2] for term in label_selector.split(",")]
        return SimpleNamespace(
            items=[
                pod
                for pod in self.pods.values()
                if all(
                    name in (pod.metadata.labels or {}) and value in {"", pod.metadata.labels[name]}
                    for name, value in terms
                )
            ]
        )


def keep_receipt(objects: MemoryObjects, command: StepCommand = COMMAND) -> str:
    """Leave what a step that was done leaves."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = receipt_key(command.project, command.step.value, command.subject, "f" * 64)
    receipt = Receipt(
        identity="f" * 64, step=command.step.value, project=command.project, subject=command.subject,
        partition=command.partition, run=command.run, attempt=command.attempt, parameters={}, inputs=(), outputs=(),
        row_counts={"rows": 3}, results=least(command.step), code_digest="sha256:0", started_at=now,
        finished_at=now, host="h",
    )  # fmt: skip
    objects.create(key, receipt.model_dump_json().encode())
    keep_outcome(objects, OutcomeStatus.DONE, 0, receipt=key, command=command)
    return key


def keep_outcome(
    objects: MemoryObjects, how: OutcomeStatus, exit_code: int, *, receipt: str | None = None,
    message: str = "", command: StepCommand = COMMAND,
) -> None:  # fmt: skip
    outcome = Outcome(
        status=how, exit_code=exit_code, step=command.step.value, project=command.project, subject=command.subject,
        run=command.run, attempt=command.attempt, receipt=receipt, message=message, seconds=1.0,
    )  # fmt: skip
    key = outcome_key(
        command.project, command.run, command.step.value, command.subject, attempt=command.attempt, ending=0
    )
    objects.create(key, outcome.model_dump_json().encode())


def context(try_number: int = 1, resources: dict[str, Any] | None = None, **more: Any) -> Any:
    """What Airflow gives a task."""
    instance = SimpleNamespace(
        dag_id="flights_training", task_id="train", map_index=-1, try_number=try_number, id=f"id-{try_number}"
    )
    return {"run_id": "manual__1", "ti": instance, "params": {"resources": resources or {}}, "outlet_events": {}} | more


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
