import io

import pytest

from include.contract.command import StepCommand
from include.contract.partition import Grain
from include.contract.results import ValidateResults
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.runtime.context import StepContext, Work
from include.runtime.events import EventLog
from include.stores.installation import Stores
from include.stores.objects.memory import MemoryObjects
from tests.support.spec_kit import parsed


def _context(partition: str = "2013-03", **options: str) -> StepContext:
    command = StepCommand(
        step=StepName.TRAIN, project="shop", partition=partition, run="r", options=tuple(options.items())
    )
    stores = Stores({})
    stores.__dict__["objects"] = MemoryObjects()
    return StepContext(command=command, spec=parsed(), stores=stores, events=EventLog(io.StringIO()), code="c")


def test_the_partition_is_of_the_grain_of_the_project() -> None:
    assert (str(_context().partition), _context().partition.grain) == ("2013-03", Grain.MONTH)
    with pytest.raises(ConfigurationError, match="Partition '2013-03-09' is not a month"):
        _ = _context("2013-03-09").partition


def test_options_are_found_by_name() -> None:
    assert _context(window="9").options == {"window": "9"}


def test_evidence_is_that_of_the_project() -> None:
    context = _context()
    assert context.receipts.project == "shop"
    assert context.receipts.objects is context.stores.objects


def test_work_may_have_nothing_to_count() -> None:
    assert Work(outputs=(), results=ValidateResults(broken={})).row_counts == {}
