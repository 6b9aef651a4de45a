"""
Orphans: pods of steps that no task waits for. Which they are, how they are deleted, and who looks for them.

A lost worker, a lost triggerer or a deleted run leaves one behind. A task of the maintenance DAG looks for them every
ten minutes, and Airflow's API server after a user has ended a task. A worker has no access to the database and requests
the states of tasks from Airflow; the API server reads them from the database.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import BaseOperator, Context

from include.contract import settings
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import TemporaryError, foreign
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod import names as pod_names
from plugins.operators.pod.api import PodApi
from plugins.operators.pod.attempt import NAMESPACE
from plugins.operators.pod.watching import state_of

LIVE = frozenset({"deferred", "queued", "restarting", "running", "scheduled"})
"""States of a task that may still need its pod."""
KEPT = timedelta(hours=1)
"""How long a pod that has ended is kept for people to inspect."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskNow:
    """The present state of a task in Airflow."""

    state: str | None
    """Airflow's word for it; None for a task that was cleared or never began."""
    task_instance: str | None = None
    """Airflow's id of the task's attempt; None where it is not known."""


TasksNow = Callable[[str, Iterable[str]], Mapping[str, Mapping[str, TaskNow]]]
"""(DAG's id, ids of runs) -> run's id -> task's id (``<task>_<map index>`` for a mapped one) -> its present state."""


@dataclass(frozen=True)
class Doomed:
    """A pod that is to be deleted."""

    pod: Any
    why: str
    """The reason, as the end of a sentence: ``its task was cleared``."""
    is_at_work: bool
    """Whether the step in it still runs, so that its leases are to be revoked."""


class PodReaperOperator(BaseOperator):
    """
    Deletes each pod of a step that has no live task, and revokes the leases of the step in it.

    Pods are selected by the platform's labels, and their tasks are named by annotations; no other pod in the namespace
    is touched. A running pod is kept while its task is live and no later attempt of the task has a pod. A pod that has
    ended is kept for an hour, and in any case until its task has read it.

    :param kubernetes_conn_id: Airflow's connection to the cluster.
    """

    def __init__(self, *, kubernetes_conn_id: str = KubernetesHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kubernetes_conn_id = kubernetes_conn_id

    def execute(self, context: Context) -> dict[str, list[str]]:  # noqa: ARG002 (as Airflow calls it)
        """Look at all pods of steps once; returns the names of those that were deleted, as ``deleted``."""
        return {"deleted": end_orphans(_known_to_airflow, self.kubernetes_conn_id, self.log)}


def sweep() -> list[str]:
    """
    Delete the pods that no task waits for; called in Airflow's API server.

    :return: their names.
    :raises TemporaryError: if the cluster or the database does not respond now.
    :raises ConfigurationError: if the cluster refuses.
    """
    return end_orphans(_in_database, KubernetesHook.default_conn_name, log)


def end_orphans(tasks_now: TasksNow, kubernetes_conn_id: str, log: logging.Logger | Any) -> list[str]:
    """
    Look at all pods of steps once; delete those that no task waits for, and revoke the leases of the steps in them.

    :param tasks_now: reads the states of tasks from Airflow.
    :return: names of the pods that were deleted.
    :raises TemporaryError: if the cluster does not respond now.
    :raises ConfigurationError: if it refuses.
    """
    namespace = os.environ.get(settings.POD_NAMESPACE) or NAMESPACE
    api = PodApi(KubernetesHook(conn_id=kubernetes_conn_id).core_v1_client, namespace)
    pods = api.select(pod_names.SELECTOR)
    doomed = doomed_of(pods, tasks_now, now=datetime.now(UTC))
    for one in doomed:
        if one.is_at_work:
            _revoke(one.pod, log)
        api.delete(one.pod)
        log.warning("Deleted pod %s/%s: %s.", namespace, one.pod.metadata.name, one.why)
    log.info("Looked at %d pods of steps in %s, deleted %d.", len(pods), namespace, len(doomed))
    return [one.pod.metadata.name for one in doomed]


def doomed_of(pods: Iterable[Any], tasks_now: TasksNow, *, now: datetime) -> list[Doomed]:
    """
    The pods that are to be deleted, with the reasons.

    :param pods: all pods of steps.
    :param tasks_now: reads tasks from Airflow. It is called after the pods were listed: in the other order a pod that
        was created in between would have no task.
    :param now: the present time, with a timezone.
    """
    known = list(pods)
    newest: dict[str, Any] = {}
    runs: dict[str, set[str]] = defaultdict(set)
    for pod in known:
        stem = pod.metadata.labels[pod_names.TASK]
        if stem not in newest or pod_names.age_key(pod) > pod_names.age_key(newest[stem]):
            newest[stem] = pod
        annotations = pod.metadata.annotations or {}
        if pod_names.DAG_ID in annotations:
            runs[annotations[pod_names.DAG_ID]].add(annotations.get(pod_names.RUN_ID, ""))
    by_dag = {dag: tasks_now(dag, sorted(names)) for dag, names in runs.items()}
    looked_at = [_doomed(pod, newest[pod.metadata.labels[pod_names.TASK]], by_dag, now) for pod in known]
    return [one for one in looked_at if one is not None]


def _doomed(
    pod: Any, newest: Any, by_dag: Mapping[str, Mapping[str, Mapping[str, TaskNow]]], now: datetime
) -> Doomed | None:
    annotations = pod.metadata.annotations or {}
    name, index = annotations.get(pod_names.TASK_ID, ""), annotations.get(pod_names.MAP_INDEX, "-1")
    tasks = by_dag.get(annotations.get(pod_names.DAG_ID, ""), {}).get(annotations.get(pod_names.RUN_ID, ""), {})
    why = _why(pod, newest, tasks.get(name if index == "-1" else f"{name}_{index}"))
    if why is None:
        return None
    if state_of(pod).has_ended:
        age = now - _ended_at(pod)
        return Doomed(pod, f"it ended {age} ago", is_at_work=False) if age > KEPT else None
    return Doomed(pod, why, is_at_work=True)


def _why(pod: Any, newest: Any, task: TaskNow | None) -> str | None:
    """Why no task waits for a pod; None if its task does."""
    if task is None:
        return "Airflow has no such task"
    if pod is not newest:
        return f"its task has a newer one, {newest.metadata.name}"
    if task.state is None:
        return "its task was cleared"
    if task.state not in LIVE:
        return f"its task is {task.state}"
    # Airflow's ids of attempts are UUIDs of version 7, which sort by time. A task gets a new one when it is cleared.
    is_older = (pod.metadata.annotations or {}).get(pod_names.TASK_INSTANCE, "") < (task.task_instance or "")
    return "its task was cleared, and is at its next attempt" if is_older else None


def _ended_at(pod: Any) -> datetime:
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses or ()
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    moment: datetime = max(ends, default=pod.metadata.creation_timestamp)
    return moment


def _revoke(pod: Any, log: logging.Logger | Any) -> None:
    """Revoke the step's leases before its pod is deleted: on an unreachable node the step would run on and publish."""
    command = _command_of(pod)
    if command is None:
        return
    try:
        ObjectStoreHook().revoke(command)
    except TemporaryError as error:
        log.warning("Pod %s is deleted, but its step's leases were not revoked: %s", pod.metadata.name, error)


def _command_of(pod: Any) -> StepCommand | None:
    """The command of the step in a pod, as far as its leases depend on it; None if annotations are missing."""
    labels, annotations = pod.metadata.labels, pod.metadata.annotations or {}
    partition, _, source = annotations.get(pod_names.SUBJECT, "").partition("/")
    if not partition or pod_names.RUN_ID not in annotations:
        return None
    return StepCommand(
        step=StepName(labels[pod_names.STEP]),
        project=labels[pod_names.PROJECT],
        partition=partition,
        run=annotations[pod_names.RUN_ID],
        attempt=pod_names.attempt_number(pod.metadata.name),
        options=(("source", source),) if source else (),
    )


def _known_to_airflow(dag: str, runs: Iterable[str]) -> Mapping[str, Mapping[str, TaskNow]]:
    # Imported here, as in _in_database: the API server does not run tasks, and a worker may not import the database.
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(dag_id=dag, run_ids=list(runs))
    return {run: {task: TaskNow(state) for task, state in tasks.items()} for run, tasks in states.items()}


def _in_database(dag: str, runs: Iterable[str]) -> Mapping[str, Mapping[str, TaskNow]]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import DBAPIError

    query = select(
        TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state, TaskInstance.id
    ).where(TaskInstance.dag_id == dag, TaskInstance.run_id.in_(list(runs)))
    tasks: dict[str, dict[str, TaskNow]] = {}
    try:
        with create_session() as session:
            for run, task, index, state, key in session.execute(query):
                name = task if index < 0 else f"{task}_{index}"
                tasks.setdefault(run, {})[name] = TaskNow(None if state is None else str(state), str(key))
    except DBAPIError as error:
        raise TemporaryError(f"Airflow's database does not respond now: {foreign(error)}") from error
    return tasks
