from datetime import UTC, datetime

import jinja2
import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.contract.partition import Grain
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from plugins.pipelines.partitions import OF_INTERVAL, OF_WINDOW, macros

MARCH = datetime(2013, 3, 1, 5, tzinfo=UTC)
APRIL = datetime(2013, 4, 1, 4, tzinfo=UTC)
"""Local midnights in New York, before and after the clocks change."""


def render(template: str, spec: ProjectSpec | None = None, **context: object) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701 (nothing is shown as HTML)
    return environment.from_string(template).render(**macros(spec or load_project("flights")), **context)


def daily() -> ProjectSpec:
    return load_project("flights").model_copy(update={"grain": Grain.DAY})


def test_the_interval_is_read_in_the_projects_timezone() -> None:
    given = {"partition": None}
    assert render(OF_INTERVAL, params=given, data_interval_start=MARCH, data_interval_end=APRIL) == "2013-03"
    day = datetime(2013, 3, 31, 4, tzinfo=UTC)
    shown = render(OF_INTERVAL, daily(), params=given, data_interval_start=day, data_interval_end=APRIL)
    assert shown == "2013-03-31"


def test_a_given_partition_needs_no_interval() -> None:
    assert render(OF_INTERVAL, params={"partition": "2013-07"}) == "2013-07"


def test_without_interval_and_parameter_a_run_is_about_nothing() -> None:
    with pytest.raises(AirflowFailException, match="neither a data interval nor the parameter 'partition'"):
        render(OF_INTERVAL, params={"partition": None})


def test_an_empty_interval_is_none() -> None:
    with pytest.raises(AirflowFailException, match="neither a data interval"):
        render(OF_INTERVAL, params={"partition": None}, data_interval_start=APRIL, data_interval_end=APRIL)


def test_an_interval_of_another_grain_is_refused() -> None:
    day = datetime(2013, 3, 2, 5, tzinfo=UTC)
    with pytest.raises(AirflowFailException, match="from 2013-03-01 to 2013-03-02 is not one month"):
        render(OF_INTERVAL, params={"partition": None}, data_interval_start=MARCH, data_interval_end=day)


def test_a_malformed_partition_is_refused() -> None:
    with pytest.raises(AirflowFailException, match="Partition '2013-3' is not a month"):
        render(OF_INTERVAL, params={"partition": "2013-3"})


@pytest.mark.parametrize(("as_of", "partition"), [("2013-10-01", "2013-09"), ("2013-10-15", "2013-09")])
def test_a_window_ends_with_the_last_partition_that_is_over(as_of: str, partition: str) -> None:
    assert render(OF_WINDOW, params={"as_of": as_of}) == partition


def test_a_window_without_a_day_ends_with_the_interval() -> None:
    assert render(OF_WINDOW, params={"as_of": None}, data_interval_start=MARCH, data_interval_end=APRIL) == "2013-03"


def test_a_window_without_day_and_interval_has_no_end() -> None:
    with pytest.raises(AirflowFailException, match=r"parameter 'as_of', so its window has no end\. Trigger it with"):
        render(OF_WINDOW, params={"as_of": None})


def test_what_is_no_day_is_refused() -> None:
    with pytest.raises(AirflowFailException, match="'as_of' is 'autumn', which is no date"):
        render(OF_WINDOW, params={"as_of": "autumn"})
