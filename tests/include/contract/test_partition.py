from datetime import UTC, date, datetime

import pytest

from include.contract.partition import Grain, Partition
from include.errors import ConfigurationError


def month(text: str) -> Partition:
    return Partition.parse(text, Grain.MONTH)


def day(text: str) -> Partition:
    return Partition.parse(text, Grain.DAY)


@pytest.mark.parametrize("text", ["2013-03", "1999-12", "2024-02"])
def test_a_month_is_written_as_it_is_read(text: str) -> None:
    assert str(month(text)) == text


def test_a_day_is_written_as_it_is_read() -> None:
    assert str(day("2024-02-29")) == "2024-02-29"


@pytest.mark.parametrize(
    "text", ["", "2013-3", "2013-13", "2013-00", "2013", "latest", "2013-03-01", "2013-03 ", "2013-03\n", "٢٠١٣-٠٣"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a month; write it like 2013-03\."):
        month(text)


@pytest.mark.parametrize("text", ["2013-02-29", "2013-3-09", "2013-03", "20130309"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a day; write it like 2013-03-09\."):
        day(text)


def test_partitions_are_shifted_across_years() -> None:
    assert str(month("2013-11").shift(3)) == "2014-02"
    assert str(month("2013-01").shift(-1)) == "2012-12"
    assert str(day("2013-03-01").shift(-1)) == "2013-02-28"


def test_a_window_ends_with_the_partition_oldest_first() -> None:
    assert [str(one) for one in month("2013-02").window(3)] == ["2012-12", "2013-01", "2013-02"]
    assert month("2013-02").window(1) == [month("2013-02")]


def test_the_as_of_date_is_the_day_that_ends_the_partition() -> None:
    assert month("2013-09").as_of == date(2013, 10, 1)
    assert day("2013-12-31").as_of == date(2014, 1, 1)


@pytest.mark.parametrize(
    ("as_of", "grain", "expected"),
    [
        (date(2013, 10, 1), Grain.MONTH, "2013-09"),
        (date(2013, 10, 2), Grain.MONTH, "2013-09"),
        (date(2013, 10, 31), Grain.MONTH, "2013-09"),
        (date(2013, 1, 1), Grain.MONTH, "2012-12"),
        (date(2013, 1, 15), Grain.MONTH, "2012-12"),
        (date(2013, 3, 1), Grain.DAY, "2013-02-28"),
    ],
)
def test_the_last_ended_partition_of_a_date(as_of: date, grain: Grain, expected: str) -> None:
    found = Partition.ending_at(as_of, grain)
    assert str(found) == expected
    assert found.as_of <= as_of < found.shift(1).as_of


def test_bounds_are_local_midnights() -> None:
    begin, end = month("2013-03").bounds("America/New_York")
    assert (begin.astimezone(UTC), end.astimezone(UTC)) == (
        datetime(2013, 3, 1, 5, tzinfo=UTC),
        datetime(2013, 4, 1, 4, tzinfo=UTC),
    )
    begin, end = day("2013-03-10").bounds("America/New_York")
    assert end.astimezone(UTC) - begin.astimezone(UTC) == (datetime(2013, 3, 1, 23) - datetime(2013, 3, 1))  # noqa: DTZ001 (the day on which the clocks are put forward)


def test_partitions_of_one_grain_are_ordered() -> None:
    assert month("2012-12") < month("2013-01")
