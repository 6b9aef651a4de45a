"""Deletes pods of steps that no task waits for: what a lost worker, a lost triggerer or a deleted run left behind."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from include.contract import settings
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import TemporaryError
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators import pod_name
from plugins.operators.pod_api import PodApi
from plugins.operators.pod_call import NAMESPACE
from plugins.operators.pod_state import state_of

LIVE = frozenset({"deferred", "queued", "restarting", "running", "scheduled"})
"""States of a task that may still look for its pod."""
KEPT = timedelta(hours=1)
"""How long a pod that has ended stays for people to look at."""

States = Callable[[str, Iterable[str]], Mapping[str, Mapping[str, Any]]]
"""(DAG, runs) -> run -> task (with ``_<map index>`` behind a mapped one) -> state."""


@dataclass(frozen=True)
class Doomed:
    """A pod that is to go, and why."""

    pod: Any
    why: str
    is_at_work: bool


class PodReaperOperator(BaseOperator):
    """
    Deletes each pod of a step that has no live task, and calls off the step in it.

    A pod is known by the platform's labels and its task by the annotations; nothing else in the namespace is touched.
    A pod that works stays as long as its task lives and no later try of it has a pod. A pod that has ended stays for
    an hour, and as long as its task has not read it.

    :param kubernetes_conn_id: Airflow's connection to the cluster.
    """

    def __init__(self, *, kubernetes_conn_id: str = KubernetesHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kubernetes_conn_id = kubernetes_conn_id

    def execute(self, context: Context) -> dict[str, list[str]]:  # noqa: ARG002 (as Airflow calls it)
        """Look at all pods of steps once."""
        namespace = os.environ.get(settings.POD_NAMESPACE) or NAMESPACE
        client = KubernetesHook(conn_id=self.kubernetes_conn_id).core_v1_client
        api = PodApi(client, namespace)
        pods = api.select(pod_name.SELECTOR)
        doomed = doomed_of(pods, _states, now=datetime.now(UTC))
        for one in doomed:
            if one.is_at_work:
                self._call_off(one.pod)
            api.delete(one.pod)
            self.log.warning("Deleted pod %s/%s: %s.", namespace, one.pod.metadata.name, one.why)
        self.log.info("Looked at %d pods of steps in %s, deleted %d.", len(pods), namespace, len(doomed))
        return {"deleted": [one.pod.metadata.name for one in doomed]}

    def _call_off(self, pod: Any) -> None:
        """End the step's right to publish before its pod: its node may be out of reach."""
        command = _command_of(pod)
        if command is None:
            return
        try:
            ObjectStoreHook().call_off(command)
        except TemporaryError as error:
            self.log.warning("Pod %s is deleted, but its step was not called off: %s", pod.metadata.name, error)


def doomed_of(pods: Iterable[Any], states: States, *, now: datetime) -> list[Doomed]:
    """
    Those of the pods that are to go.

    :param states: asks Airflow for the states of tasks; asked after the pods were listed, so that a pod whose task
        was not yet there is not among them.
    """
    known = list(pods)
    newest: dict[str, Any] = {}
    runs: dict[str, set[str]] = defaultdict(set)
    for pod in known:
        stem = pod.metadata.labels[pod_name.TASK]
        if stem not in newest or pod_name.age_key(pod) > pod_name.age_key(newest[stem]):
            newest[stem] = pod
        told = pod.metadata.annotations or {}
        if pod_name.DAG_ID in told:
            runs[told[pod_name.DAG_ID]].add(told.get(pod_name.RUN_ID, ""))
    found = {dag: states(dag, sorted(names)) for dag, names in runs.items()}
    judged = [_judged(pod, newest[pod.metadata.labels[pod_name.TASK]], found, now) for pod in known]
    return [one for one in judged if one is not None]


def _judged(
    pod: Any, newest: Any, found: Mapping[str, Mapping[str, Mapping[str, Any]]], now: datetime
) -> Doomed | None:
    told = pod.metadata.annotations or {}
    task, index = told.get(pod_name.TASK_ID, ""), told.get(pod_name.MAP_INDEX, "-1")
    tasks = found.get(told.get(pod_name.DAG_ID, ""), {}).get(told.get(pod_name.RUN_ID, ""), {})
    state = str(tasks.get(task if index == "-1" else f"{task}_{index}"))
    is_newest = pod is newest
    if state in LIVE and is_newest:
        return None
    if state_of(pod).has_ended:
        age = now - _ended_at(pod)
        return Doomed(pod, f"it ended {age} ago", is_at_work=False) if age > KEPT else None
    why = f"its task is {state}" if is_newest else f"its task has a newer one, {newest.metadata.name}"
    return Doomed(pod, "Airflow knows no such task" if state == "None" else why, is_at_work=True)


def _ended_at(pod: Any) -> datetime:
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses or ()
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    moment: datetime = max(ends, default=pod.metadata.creation_timestamp)
    return moment


def _states(dag: str, runs: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    return RuntimeTaskInstance.get_task_states(dag_id=dag, run_ids=list(runs))


def _command_of(pod: Any) -> StepCommand | None:
    """What the step in a pod was asked for, as far as its right to publish goes; None if the pod does not say it."""
    labels, told = pod.metadata.labels, pod.metadata.annotations or {}
    partition, _, source = told.get(pod_name.SUBJECT, "").partition("/")
    if not partition or pod_name.RUN_ID not in told:
        return None
    return StepCommand(
        step=StepName(labels[pod_name.STEP]),
        project=labels[pod_name.PROJECT],
        partition=partition,
        run=told[pod_name.RUN_ID],
        attempt=pod_name.try_of(pod.metadata.name),
        options=(("source", source),) if source else (),
    )
