"""Pods of steps that no task waits for: which they are, and how they end."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

from include.contract import settings
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import TemporaryError
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod import names as pod_names
from plugins.operators.pod.api import PodApi
from plugins.operators.pod.attempt import NAMESPACE
from plugins.operators.pod.watching import state_of

LIVE = frozenset({"deferred", "queued", "restarting", "running", "scheduled"})
"""States of a task that may still look for its pod."""
KEPT = timedelta(hours=1)
"""How long a pod that has ended stays for people to look at."""


@dataclass(frozen=True)
class TaskNow:
    """A task as Airflow knows it."""

    state: str | None
    """Airflow's word; None for one that was cleared or never began."""
    task_instance: str | None = None
    """Airflow's id of its try; None where Airflow does not tell."""


TasksNow = Callable[[str, Iterable[str]], Mapping[str, Mapping[str, TaskNow]]]
"""(DAG, runs) -> run -> task (with ``_<map index>`` behind a mapped one) -> what Airflow knows of it."""


@dataclass(frozen=True)
class Doomed:
    """A pod that is to go, and why."""

    pod: Any
    why: str
    is_at_work: bool


def end_orphans(tasks_now: TasksNow, kubernetes_conn_id: str, log: logging.Logger | Any) -> list[str]:
    """
    Look at all pods of steps once; delete those that no task waits for, and call off the steps in them.

    :return: names of the pods that were deleted.
    :raises TemporaryError: if the cluster does not answer now.
    :raises ConfigurationError: if it refuses.
    """
    namespace = os.environ.get(settings.POD_NAMESPACE) or NAMESPACE
    api = PodApi(KubernetesHook(conn_id=kubernetes_conn_id).core_v1_client, namespace)
    pods = api.select(pod_names.SELECTOR)
    doomed = doomed_of(pods, tasks_now, now=datetime.now(UTC))
    for one in doomed:
        if one.is_at_work:
            _call_off(one.pod, log)
        api.delete(one.pod)
        log.warning("Deleted pod %s/%s: %s.", namespace, one.pod.metadata.name, one.why)
    log.info("Looked at %d pods of steps in %s, deleted %d.", len(pods), namespace, len(doomed))
    return [one.pod.metadata.name for one in doomed]


def doomed_of(pods: Iterable[Any], tasks_now: TasksNow, *, now: datetime) -> list[Doomed]:
    """
    Those of the pods that are to go.

    :param tasks_now: asks Airflow for tasks; asked after the pods were listed, so that a pod whose task was not yet
        there is not among them.
    """
    known = list(pods)
    newest: dict[str, Any] = {}
    runs: dict[str, set[str]] = defaultdict(set)
    for pod in known:
        stem = pod.metadata.labels[pod_names.TASK]
        if stem not in newest or pod_names.age_key(pod) > pod_names.age_key(newest[stem]):
            newest[stem] = pod
        told = pod.metadata.annotations or {}
        if pod_names.DAG_ID in told:
            runs[told[pod_names.DAG_ID]].add(told.get(pod_names.RUN_ID, ""))
    found = {dag: tasks_now(dag, sorted(names)) for dag, names in runs.items()}
    judged = [_judged(pod, newest[pod.metadata.labels[pod_names.TASK]], found, now) for pod in known]
    return [one for one in judged if one is not None]


def _judged(
    pod: Any, newest: Any, found: Mapping[str, Mapping[str, Mapping[str, TaskNow]]], now: datetime
) -> Doomed | None:
    told = pod.metadata.annotations or {}
    name, index = told.get(pod_names.TASK_ID, ""), told.get(pod_names.MAP_INDEX, "-1")
    tasks = found.get(told.get(pod_names.DAG_ID, ""), {}).get(told.get(pod_names.RUN_ID, ""), {})
    why = _why(pod, newest, tasks.get(name if index == "-1" else f"{name}_{index}"))
    if why is None:
        return None
    if state_of(pod).has_ended:
        age = now - _ended_at(pod)
        return Doomed(pod, f"it ended {age} ago", is_at_work=False) if age > KEPT else None
    return Doomed(pod, why, is_at_work=True)


def _why(pod: Any, newest: Any, task: TaskNow | None) -> str | None:
    """Why nobody waits for a pod; None if its task does."""
    if task is None:
        return "Airflow knows no such task"
    if pod is not newest:
        return f"its task has a newer one, {newest.metadata.name}"
    if task.state is None:
        return "its task was cleared"
    if task.state not in LIVE:
        return f"its task is {task.state}"
    # The ids of a task's tries sort by time. A later one than the pod's was made when the task was cleared.
    is_older = (pod.metadata.annotations or {}).get(pod_names.TASK_INSTANCE, "") < (task.task_instance or "")
    return "its task was cleared, and is at its next try" if is_older else None


def _ended_at(pod: Any) -> datetime:
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses or ()
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    moment: datetime = max(ends, default=pod.metadata.creation_timestamp)
    return moment


def _call_off(pod: Any, log: logging.Logger | Any) -> None:
    """End the step's right to publish before its pod: its node may be out of reach."""
    command = _command_of(pod)
    if command is None:
        return
    try:
        ObjectStoreHook().call_off(command)
    except TemporaryError as error:
        log.warning("Pod %s is deleted, but its step was not called off: %s", pod.metadata.name, error)


def _command_of(pod: Any) -> StepCommand | None:
    """What the step in a pod was asked for, as far as its right to publish goes; None if the pod does not say it."""
    labels, told = pod.metadata.labels, pod.metadata.annotations or {}
    partition, _, source = told.get(pod_names.SUBJECT, "").partition("/")
    if not partition or pod_names.RUN_ID not in told:
        return None
    return StepCommand(
        step=StepName(labels[pod_names.STEP]),
        project=labels[pod_names.PROJECT],
        partition=partition,
        run=told[pod_names.RUN_ID],
        attempt=pod_names.try_of(pod.metadata.name),
        options=(("source", source),) if source else (),
    )
