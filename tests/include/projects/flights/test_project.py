"""The flights' data contract: what it declares holds in the files, and what it must refuse is refused."""

from pathlib import Path

import pytest

from include.errors import ConfigurationError
from include.projects.flights.features import build_features
from include.projects.flights.model import DEFAULTS
from include.spec.load import parse_project, projects_folder
from include.spec.training import Choice
from include.steps.features.joins import joined, reconcile
from tests.support.flight_rows import flight_sources, flights_spec

FILE = projects_folder() / "flights" / "project.yaml"


def changed(old: str, new: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    parse_project(text.replace(old, new), Path("include/projects/flights/project.yaml"))


@pytest.mark.parametrize("column", ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"])
def test_hindsight_is_no_feature_of_its_own_row(column: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"uses '{column}' of its own row, which is known only at"):
        changed("of: [distance]", f"of: [{column}]")


def test_a_feature_may_not_have_the_name_of_hindsight() -> None:
    with pytest.raises(ConfigurationError, match=r"feature_set.columns.air_time uses 'air_time' of its own row"):
        changed("    distance: {type: int64, meaning: Miles to", "    air_time: {type: int64, meaning: Miles to")


def test_joins_keep_every_flight_and_stay_within_their_limits() -> None:
    spec = flights_spec()
    result = joined(spec.feature_set, flight_sources())
    reconcile(spec.feature_set, result.counts, "here")
    unmatched = {count.source: count.unmatched_share for count in result.counts}
    assert len(result.frame) == len(flight_sources()["flights"].rows)
    assert unmatched["airlines"] == 0.0
    assert 0.01 < unmatched["airports"] < 0.05
    assert 0.1 < unmatched["planes"] < 0.25


def test_weather_is_never_newer_than_the_prediction() -> None:
    frame = joined(flights_spec().feature_set, flight_sources()).frame
    assert (frame["weather_published"].dropna() <= frame["prediction_time"][frame["weather_published"].notna()]).all()


def test_the_search_varies_parameters_that_the_model_knows() -> None:
    model = flights_spec().model
    assert set(model.search.space) <= set(DEFAULTS)
    assert set(model.parameters) <= set(DEFAULTS)
    assert any(isinstance(space, Choice) for space in model.search.space.values())


def test_the_function_of_the_spec_is_the_one_that_is_tested() -> None:
    assert flights_spec().feature_set.function == f"features:{build_features.__name__}"
