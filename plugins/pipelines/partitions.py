"""
The partition of a run, as macros for the templates of its tasks.

A run gets a partition as a parameter, or has a data interval that is exactly one partition. Otherwise its tasks fail at
once; there is no default such as today or the latest partition.
"""

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowFailException

from include.contract.partition import Grain, Partition
from include.errors import ConfigurationError
from include.spec.project import ProjectSpec

OF_INTERVAL = "{{ partition(params.partition, data_interval_start, data_interval_end) }}"
"""Partition of a run of the data or the scoring DAG."""
OF_WINDOW = "{{ last_partition(params.as_of, data_interval_start, data_interval_end) }}"
"""Last partition of the window of a training run."""


def macros(spec: ProjectSpec) -> dict[str, Callable[..., str]]:
    """
    The functions that templates of this project's DAGs may call, by name.

    Each raises AirflowFailException if the run's parameters and data interval do not determine a partition.
    """
    grain, zone = spec.grain, ZoneInfo(spec.timezone)

    def partition(given: object, start: object, end: object) -> str:
        """Partition of a run, like ``2013-03``: that of the parameter, or the data interval."""
        return _checked(lambda: _partition(given, start, end, grain=grain, zone=zone))

    def last_partition(as_of: object, start: object, end: object) -> str:
        """Last partition of a window: the last one that has ended by the day ``as_of``, or by the interval's end."""
        return _checked(lambda: _last_partition(as_of, start, end, grain=grain, zone=zone))

    return {"partition": partition, "last_partition": last_partition}


def _checked(compute: Callable[[], Partition]) -> str:
    try:
        return str(compute())
    except ConfigurationError as error:  # permanent: a retry renders the same template
        raise AirflowFailException(str(error)) from error


def _partition(given: object, start: object, end: object, *, grain: Grain, zone: ZoneInfo) -> Partition:
    if isinstance(given, str) and given:
        return Partition.parse(given, grain)
    days = _interval(start, end, zone)
    if days is None:
        raise ConfigurationError(
            "This run has neither a data interval nor the parameter 'partition', so it has no partition to work on. "
            f"Trigger it with a partition, like {grain.example}, or with a logical date."
        )
    first = Partition(days[0].replace(day=1) if grain is Grain.MONTH else days[0], grain)
    following = Partition(days[1].replace(day=1) if grain is Grain.MONTH else days[1], grain)
    if following != first.shift(1):
        raise ConfigurationError(
            f"The data interval from {days[0]} to {days[1]} is not one {grain.value}, which is the project's grain. "
            "Correct the schedule or the grain in project.yaml."
        )
    return first


def _last_partition(as_of: object, start: object, end: object, *, grain: Grain, zone: ZoneInfo) -> Partition:
    if isinstance(as_of, str) and as_of:
        try:
            return Partition.ending_at(date.fromisoformat(as_of), grain)
        except ValueError as error:
            raise ConfigurationError(
                f"Parameter 'as_of' is '{as_of}', which is no date; write it like 2013-10-01."
            ) from error
    days = _interval(start, end, zone)
    if days is None:
        raise ConfigurationError(
            "This run has neither a data interval nor the parameter 'as_of', so its window has no end. "
            "Trigger it with the day by which the window has ended, like 2013-10-01 for a window up to September 2013."
        )
    return Partition.ending_at(days[1], grain)


def _interval(start: object, end: object, zone: ZoneInfo) -> tuple[date, date] | None:
    """First day and day after the last of a data interval, in the project's timezone; None for none or an empty one."""
    # Airflow gives a manual run of a DAG without a schedule an interval of no length, at its logical date.
    if not isinstance(start, datetime) or not isinstance(end, datetime) or end <= start:
        return None
    return start.astimezone(zone).date(), end.astimezone(zone).date()
