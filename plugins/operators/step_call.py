"""What the operators of all execution modes share: the command of a task's try, and what its success tells assets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Asset, Context
from airflow.sdk.exceptions import AirflowFailException

from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import PermanentError
from plugins.operators.outcome import Reference


@dataclass(frozen=True, kw_only=True)
class StepCall:
    """A task's step, with all templates rendered."""

    step: str
    project: str
    partition: str
    source: str | None = None
    options: Mapping[str, str]

    def command(self, context: Context, code: str = "") -> StepCommand:
        """
        The command of this try.

        :param code: digest of the code that must do the work; none where any may.
        """
        given = {"source": self.source, **self.options}
        return StepCommand(
            step=StepName(self.step),
            project=self.project,
            partition=self.partition,
            run=context["run_id"],
            attempt=context["ti"].try_number,
            code=code,
            options=tuple((name, value) for name, value in given.items() if value),
        )


@contextmanager
def judged_by_airflow() -> Iterator[None]:
    """
    Say permanent errors in Airflow's words.

    :raises AirflowFailException: for an error that doing it again would give again.
    """
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error


def tell_assets(outlets: Sequence[Any], context: Context, partition: str, reference: Reference) -> None:
    """Let the events of a task's assets carry the partition and the receipt."""
    for asset in outlets:
        if isinstance(asset, Asset):
            extra: dict[str, Any] = {name: reference[name] for name in ("receipt", "receipts") if name in reference}
            context["outlet_events"][asset].extra = {"partition": partition} | extra
