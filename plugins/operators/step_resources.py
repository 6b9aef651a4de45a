"""A step's resources for one run: those of the spec, with what the trigger form says over them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from include.contract.step_names import StepName
from include.errors import ConfigurationError, foreign, listed, near
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec

PARAM = "resources"
"""The parameter of the trigger form: an object, step -> resources."""
NOT_AT_RUN_TIME = ("retries", "retry_delay")
"""Airflow decides about these before a task runs."""
WITHOUT_EFFECT = (
    "memory", "memory_at_most", "ephemeral_storage", "gpu", "gpu_resource", "node_selector", "tolerations",
    "priority_class", "capacity_wait",
)  # fmt: skip
"""What a machine without a cluster does not enforce."""


def resources_of(spec: ProjectSpec, step: StepName, params: Mapping[str, Any]) -> ResourceSpec:
    """
    What a step gets in this run.

    :param params: the run's parameters.
    :raises ConfigurationError: if they ask for what there is not, with the key and a near name.
    """
    resources = spec.execution.for_step(step.value)
    given = given_for(step, params)
    if given is None:
        return resources
    found = given.over(resources)
    mistake = found.mistake()
    if mistake:
        raise ConfigurationError(f"Parameter '{PARAM}', step '{step.value}': {mistake}.")
    return found


def given_for(step: StepName, params: Mapping[str, Any]) -> ResourceSpec | None:
    """
    What the trigger form asks for a step; None if nothing.

    :raises ConfigurationError: if it is no such thing.
    """
    whole = params.get(PARAM) or {}
    words = [one.value for one in StepName]
    if not isinstance(whole, Mapping):
        raise ConfigurationError(f"Parameter '{PARAM}' is '{foreign(str(whole))}'; {_EXAMPLE}")
    for name in whole:
        if name not in words:
            message = f"Parameter '{PARAM}' names step '{name}', which does not exist; known: {listed(words)}."
            raise ConfigurationError(f"{message}{near(str(name), words)}")
    given = whole.get(step.value)
    if given is None:
        return None
    try:
        found = ResourceSpec.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([step.value, *map(str, first["loc"])])
        message = f"Parameter '{PARAM}', {where}: {first['msg']} (given: {foreign(str(first['input']))})"
        raise ConfigurationError(f"{message}; {_EXAMPLE}") from error
    late = [name for name in NOT_AT_RUN_TIME if getattr(found, name) is not None]
    if late:
        message = f"Parameter '{PARAM}', {step.value}: {listed(late)} cannot be set for one run; change project.yaml."
        raise ConfigurationError(message)
    return found


def without_effect_locally(resources: ResourceSpec) -> str:
    """``gpu=1, memory=2Gi``: what is asked for and means nothing on one machine; empty if nothing is."""
    asked = {name: getattr(resources, name) for name in WITHOUT_EFFECT}
    return ", ".join(sorted(f"{name}={value}" for name, value in asked.items() if value is not None))


_EXAMPLE = 'write it like {"train": {"cpu": 2, "memory": "4Gi", "timeout": "2h"}}.'
