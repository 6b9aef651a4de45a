"""A step's resources for one run: those of the spec, overridden by those of the trigger form."""

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
"""Airflow's scheduler reads these when it has parsed the DAG, before a run's parameters exist."""
WITHOUT_EFFECT = (
    "memory", "memory_at_most", "ephemeral_storage", "gpu", "gpu_resource", "node_selector", "tolerations",
    "priority_class", "capacity_wait",
)  # fmt: skip
"""Fields that nothing enforces in execution mode ``local``."""


def resources_of(spec: ProjectSpec, step: StepName, params: Mapping[str, Any]) -> ResourceSpec:
    """
    What a step gets in this run.

    :param params: the run's parameters; only ``resources`` is read.
    :return: the spec's resources, with the fields that the parameter names replaced.
    :raises ConfigurationError: if the parameter is not valid, with the key and a near name.
    """
    resources = spec.execution.for_step(step.value)
    given = given_for(step, params)
    if given is None:
        return resources
    merged = given.over(resources)
    # Checked once more: each of the two may be right alone, as a memory above the spec's ceiling is.
    mistake = merged.mistake()
    if mistake:
        raise ConfigurationError(f"Parameter '{PARAM}', step '{step.value}': {mistake}.")
    return merged


def given_for(step: StepName, params: Mapping[str, Any]) -> ResourceSpec | None:
    """
    What the trigger form sets for a step; None if it sets nothing.

    :raises ConfigurationError: if the parameter is no object of steps, or the step's part is not valid.
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
        resources = ResourceSpec.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([step.value, *map(str, first["loc"])])
        message = f"Parameter '{PARAM}', {where}: {first['msg']} (given: {foreign(str(first['input']))})"
        raise ConfigurationError(f"{message}; {_EXAMPLE}") from error
    late = [name for name in NOT_AT_RUN_TIME if getattr(resources, name) is not None]
    if late:
        message = f"Parameter '{PARAM}', {step.value}: {listed(late)} cannot be set for one run; change project.yaml."
        raise ConfigurationError(message)
    return resources


def without_effect_locally(resources: ResourceSpec) -> str:
    """The fields that are set and have no effect in mode ``local``, like ``gpu=1, memory=2Gi``; empty if none is."""
    values = {name: getattr(resources, name) for name in WITHOUT_EFFECT}
    return ", ".join(sorted(f"{name}={value}" for name, value in values.items() if value is not None))


_EXAMPLE = 'write it like {"train": {"cpu": 2, "memory": "4Gi", "timeout": "2h"}}.'
