"""What operators of all execution modes share: an attempt's command, failures for Airflow, and asset events."""

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
        The command of this attempt.

        :param code: digest of the code that must do the work; empty where any code may.
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
def as_airflow_failure() -> Iterator[None]:
    """
    Raise permanent errors as Airflow's own exception.

    :raises AirflowFailException: in place of a ``PermanentError``; other errors pass.
    """
    # Airflow retries whatever a task raises, as long as retries are left, except this one class.
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error


def annotate_asset_events(outlets: Sequence[Any], context: Context, partition: str, reference: Reference) -> None:
    """
    Put the partition and the receipt's key into the asset events of a task that succeeded.

    :param outlets: of the task; what is no asset is passed over.
    """
    for asset in outlets:
        if isinstance(asset, Asset):
            extra: dict[str, Any] = {name: reference[name] for name in ("receipt", "receipts") if name in reference}
            context["outlet_events"][asset].extra = {"partition": partition} | extra
