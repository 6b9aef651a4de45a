"""
A step's module, found by its word.

Apart from the catalogue of words: what the CLI says of another step is no part of a step's code.
"""

from importlib import import_module
from typing import Protocol, cast

from include.contract.step_names import StepName
from include.runtime.context import Plan, StepContext


class StepModule(Protocol):
    """What a step module has."""

    def plan(self, context: StepContext) -> Plan:
        """Look at what the work depends on; return it with the work."""


def step_module(step: StepName) -> StepModule:
    """Import a step; this is when its libraries are imported."""
    return cast("StepModule", import_module(f"include.steps.{step.value}.step"))
