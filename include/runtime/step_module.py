"""
A step's module, by the step's name.

Not in the catalogue: the CLI's description of another step must not be part of a step's code digest.
"""

from importlib import import_module
from typing import Protocol, cast

from include.contract.step_names import StepName
from include.runtime.context import Parts, Plan, StepContext


class StepModule(Protocol):
    """What a step module has."""

    def plan(self, context: StepContext) -> Plan | Parts:
        """Determine what the work depends on; return it with the work, or the parts that the call is made of."""


def step_module(step: StepName) -> StepModule:
    """Import a step; this is when its libraries are imported."""
    return cast("StepModule", import_module(f"include.steps.{step.value}.step"))
