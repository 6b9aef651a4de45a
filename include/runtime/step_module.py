"""
A step's module, found by its word.

Apart from the catalogue of words: what the CLI says of another step is no part of a step's code.
"""

from importlib import import_module
from typing import Protocol, cast

from include.contract.step_names import StepName
from include.runtime.context import Parts, Plan, StepContext


class StepModule(Protocol):
    """What a step module has."""

    def plan(self, context: StepContext) -> Plan | Parts:
        """Look at what the work depends on; return it with the work, or say of which parts the call is made."""


def step_module(step: StepName) -> StepModule:
    """Import a step; this is when its libraries are imported."""
    return cast("StepModule", import_module(f"include.steps.{step.value}.step"))
