"""
Which partition a run is about: what its templates call.

A run was given a partition as a parameter, or has a data interval that is exactly one partition. Otherwise it fails at
once; nothing falls back to now, to today or to the latest.
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
    """The functions that templates of this project's DAGs may call."""
    grain, zone = spec.grain, ZoneInfo(spec.timezone)

    def partition(given: object, start: object, end: object) -> str:
        """Partition of a run: the given one, or the data interval's."""
        return _checked(lambda: _partition(given, start, end, grain=grain, zone=zone))

    def last_partition(as_of: object, start: object, end: object) -> str:
        """Last partition of a window: the last that has ended by the given day, or by the interval's end."""
        return _checked(lambda: _last_partition(as_of, start, end, grain=grain, zone=zone))

    return {"partition": partition, "last_partition": last_partition}


def _checked(find: Callable[[], Partition]) -> str:
    try:
        return str(find())
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from error


def _partition(given: object, start: object, end: object, *, grain: Grain, zone: ZoneInfo) -> Partition:
    if isinstance(given, str) and given:
        return Partition.parse(given, grain)
    days = _interval(start, end, zone)
    if days is None:
        raise ConfigurationError(
            "This run has neither a data interval nor the parameter 'partition', so it is about no data. "
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
    """Local days of a data interval; None for none or an empty one, as a run by hand without a schedule has."""
    if not isinstance(start, datetime) or not isinstance(end, datetime) or end <= start:
        return None
    return start.astimezone(zone).date(), end.astimezone(zone).date()
