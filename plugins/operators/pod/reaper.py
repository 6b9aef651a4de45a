"""Deletes pods of steps that no task waits for: what a lost worker, a lost triggerer or a deleted run left behind."""

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from plugins.operators.pod.orphans import TaskNow, end_orphans


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
        return {"deleted": end_orphans(_tasks_now, self.kubernetes_conn_id, self.log)}


def _tasks_now(dag: str, runs: Iterable[str]) -> Mapping[str, Mapping[str, TaskNow]]:
    found = RuntimeTaskInstance.get_task_states(dag_id=dag, run_ids=list(runs))
    return {run: {task: TaskNow(state) for task, state in tasks.items()} for run, tasks in found.items()}
