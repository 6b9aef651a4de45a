"""A step of a project -> a task, in whatever execution mode this installation has."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator

from include.contract import settings
from include.contract.step_names import StepName
from include.errors import ConfigurationError, near
from include.spec.project import ProjectSpec
from plugins.operators.local_step import LocalStepOperator

LOCAL = "local"


def step_task(
    spec: ProjectSpec,
    step: StepName,
    *,
    partition: str,
    sources: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    outlets: Sequence[Asset] = (),
) -> Any:
    """
    One task for one step, or one mapped over sources.

    The only function in the project that reads the execution mode.

    :param partition: the data interval, as a template.
    :param sources: the step runs once for each of them; once without any.
    :param options: further options of the step; values may be templates.
    :param outlets: assets that the step's success updates; their events carry the partition.
    :return: an operator, mapped if there are sources.
    :raises ConfigurationError: if the execution mode is none that this installation has.
    """
    mode = os.environ.get(settings.EXECUTION) or LOCAL
    if mode != LOCAL:
        message = f"Environment variable {settings.EXECUTION} is '{mode}'; the supported execution mode is '{LOCAL}'."
        raise ConfigurationError(f"{message}{near(mode, [LOCAL])} Set it to '{LOCAL}', or leave it out.")
    resources = spec.execution.for_step(step.value)
    given: dict[str, Any] = {
        "task_id": step.value,
        "step": step.value,
        "project": spec.name,
        "partition": partition,
        "options": dict(options or {}),
        "threads": max(1, int(resources.cpu or 1)),
        "execution_timeout": resources.timeout,
        "retries": resources.retries,
        "retry_delay": resources.retry_delay,
        "outlets": list(outlets),
    }
    operator: type[BaseOperator] = LocalStepOperator
    if not sources:
        return operator(**given)
    return operator.partial(**given, map_index_template="{{ task.source }}").expand(source=list(sources))
