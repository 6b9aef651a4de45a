"""A step of a project -> a task, in whatever execution mode this installation has."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator

from include.contract import settings
from include.contract.step_names import StepName
from include.errors import ConfigurationError, listed, near
from include.spec.project import ProjectSpec
from include.spec.sources import SourceFormat
from plugins.operators.local_step import LocalStepOperator

LOCAL, KUBERNETES = MODES = ("local", "kubernetes")


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
    if mode not in MODES:
        message = f"Environment variable {settings.EXECUTION} is '{mode}'; the execution modes are {listed(MODES)}."
        raise ConfigurationError(f"{message}{near(mode, MODES)} Set it to one of them, or leave it out for '{LOCAL}'.")
    resources = spec.execution.for_step(step.value)
    given: dict[str, Any] = {
        "task_id": step.value,
        "step": step.value,
        "project": spec.name,
        "partition": partition,
        "options": dict(options or {}),
        "threads": max(1, int(resources.cpu or 1)),
        "retries": resources.retries,
        "retry_delay": resources.retry_delay,
        "outlets": list(outlets),
    }
    operator: type[BaseOperator] = LocalStepOperator
    if mode == KUBERNETES:
        from plugins.operators.pod_step import PodStepOperator

        operator = PodStepOperator
        given |= {"cpu": resources.cpu, "memory": resources.memory, "timeout": resources.timeout}
        given["connections"] = {
            name: source.location for name, source in spec.sources.items() if source.format is SourceFormat.SQL
        }
    else:
        given["execution_timeout"] = resources.timeout
    if not sources:
        return operator(**given)
    return operator.partial(**given, map_index_template="{{ task.source }}").expand(source=list(sources))
