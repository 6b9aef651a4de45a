"""A partition is one data interval of a project: a local calendar month (``2013-03``) or day (``2013-03-09``)."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from include.errors import ConfigurationError


class Grain(StrEnum):
    """How long one partition is."""

    MONTH = "month"
    DAY = "day"

    @property
    def pattern(self) -> str:
        """Regular expression that the whole name of a partition matches; the calendar may still not have it."""
        return r"^\d{4}-\d{2}$" if self is Grain.MONTH else r"^\d{4}-\d{2}-\d{2}$"

    @property
    def example(self) -> str:
        """A partition's name, for messages."""
        return "2013-03" if self is Grain.MONTH else "2013-03-09"

    @property
    def date_format(self) -> str:
        """A partition's name as ``strftime`` writes its first day."""
        return "%Y-%m" if self is Grain.MONTH else "%Y-%m-%d"


@dataclass(frozen=True, order=True)
class Partition:
    """One data interval; ordered by time among partitions of one grain."""

    start: date
    """First local day of the interval."""
    grain: Grain

    @classmethod
    def parse(cls, text: str, grain: Grain) -> "Partition":
        """
        Read ``2013-03`` (month) or ``2013-03-09`` (day).

        :raises ConfigurationError: if the text is no partition of this grain.
        """
        message = f"Partition '{text}' is not a {grain.value}; write it like {grain.example}."
        # strptime alone would take 2013-3 as well, and one partition would have two names.
        if not re.match(grain.pattern, text):
            raise ConfigurationError(message)
        try:
            start = datetime.strptime(text, grain.date_format).date()  # noqa: DTZ007 (a local calendar date, not a moment)
        except ValueError as error:
            raise ConfigurationError(message) from error
        return cls(start=start, grain=grain)

    @classmethod
    def ending_at(cls, as_of: date, grain: Grain) -> "Partition":
        """The last partition that has ended by the local midnight that begins ``as_of``."""
        day = as_of - timedelta(days=1)
        if grain is Grain.DAY:
            return cls(start=day, grain=grain)
        month_end = as_of.day == 1
        return cls(start=day.replace(day=1), grain=grain) if month_end else cls(day.replace(day=1), grain).shift(-1)

    def shift(self, count: int) -> "Partition":
        """The partition ``count`` intervals later (earlier if negative)."""
        if self.grain is Grain.DAY:
            return Partition(self.start + timedelta(days=count), self.grain)
        months = self.start.year * 12 + self.start.month - 1 + count
        return Partition(date(months // 12, months % 12 + 1, 1), self.grain)

    def window(self, count: int) -> "list[Partition]":
        """The ``count`` partitions that end with this one, oldest first."""
        return [self.shift(offset) for offset in range(1 - count, 1)]

    @property
    def as_of(self) -> date:
        """The local day whose beginning ends this partition."""
        return self.shift(1).start

    def bounds(self, timezone: str) -> tuple[datetime, datetime]:
        """First moment of the partition, and first moment after it, both aware."""
        zone = ZoneInfo(timezone)
        begin, end = self.start, self.as_of  # calendar days, not 24 hours each: clocks change within some partitions
        return (
            datetime(begin.year, begin.month, begin.day, tzinfo=zone),
            datetime(end.year, end.month, end.day, tzinfo=zone),
        )

    def __str__(self) -> str:
        return self.start.strftime(self.grain.date_format)
