"""A look at all pods of steps by Airflow's API server, which reads what tasks are doing from the database itself."""

import logging
from collections.abc import Iterable, Mapping

from airflow.models.taskinstance import TaskInstance
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from include.errors import TemporaryError, foreign
from plugins.operators.pod.orphans import TaskNow, end_orphans

log = logging.getLogger(__name__)


def sweep() -> list[str]:
    """
    End the pods that no task waits for any more.

    :return: their names.
    :raises TemporaryError: if the cluster or the database does not answer now.
    :raises ConfigurationError: if the cluster refuses.
    """
    return end_orphans(_tasks_now, KubernetesHook.default_conn_name, log)


def _tasks_now(dag: str, runs: Iterable[str]) -> Mapping[str, Mapping[str, TaskNow]]:
    asked = select(
        TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state, TaskInstance.id
    ).where(TaskInstance.dag_id == dag, TaskInstance.run_id.in_(list(runs)))
    found: dict[str, dict[str, TaskNow]] = {}
    try:
        with create_session() as session:
            for run, task, index, state, key in session.execute(asked):
                name = task if index < 0 else f"{task}_{index}"
                found.setdefault(run, {})[name] = TaskNow(None if state is None else str(state), str(key))
    except DBAPIError as error:
        raise TemporaryError(f"Airflow's database does not answer now: {foreign(error)}") from error
    return found
