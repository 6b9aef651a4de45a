"""A step of a project -> a task of the installation's execution mode: a local process, or a pod."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator

from include.contract import settings
from include.contract.command import task_name
from include.contract.step_names import StepName
from include.errors import ConfigurationError, near
from include.spec.project import ProjectSpec
from plugins.operators.local.operator import LocalStepOperator

LOCAL = "local"
KUBERNETES = "kubernetes"


def execution_mode() -> str:
    """
    The execution mode of this installation; only this function reads the setting.

    :return: ``local`` or ``kubernetes``.
    :raises ConfigurationError: if the environment variable holds another word.
    """
    mode = os.environ.get(settings.EXECUTION) or LOCAL
    if mode not in {LOCAL, KUBERNETES}:
        modes = f"'{LOCAL}' or '{KUBERNETES}'"
        message = f"Environment variable {settings.EXECUTION} is '{mode}', which is no execution mode."
        raise ConfigurationError(f"{message}{near(mode, [LOCAL, KUBERNETES])} Set it to {modes}, or leave it out.")
    return mode


def step_task(
    spec: ProjectSpec,
    step: StepName,
    *,
    partition: str,
    source: str | None = None,
    options: Mapping[str, str] | None = None,
    outlets: Sequence[Asset] = (),
) -> BaseOperator:
    """
    One task for one step.

    :param partition: the data interval, as a template.
    :param source: for ``ingest``: the one source that the task is for; its name becomes part of the task's.
    :param options: further options of the step; values may be templates.
    :param outlets: assets that the step's success updates; their events carry the partition.
    :return: an operator of the execution mode, inside the DAG that is being built.
    :raises ConfigurationError: if the installation's execution mode is unknown.
    """
    resources = spec.execution.for_step(step.value)
    given: dict[str, Any] = {
        "task_id": task_name(step.value, source),
        "step": step.value,
        "project": spec.name,
        "partition": partition,
        "source": source,
        "options": dict(options or {}),
        "execution_timeout": resources.timeout,
        "retries": resources.retries,
        "retry_delay": resources.retry_delay,
        "outlets": list(outlets),
    }
    return _operator()(**given)


def _operator() -> type[BaseOperator]:
    if execution_mode() == LOCAL:
        return LocalStepOperator
    # 2,000 modules and 1.3 s, which only an installation with a cluster pays.
    from plugins.operators.pod.operator import PodStepOperator

    return PodStepOperator
