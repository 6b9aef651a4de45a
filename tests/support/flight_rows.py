"""The first days of January 2013, from the files of the installed package."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from include.spec.load import load_project
from include.spec.project import ProjectSpec
from include.steps.features.sources import SourceRows
from tests.support.worlds.feature_world import arrow_table

FLIGHT_COUNT = 4334
"""Flights of 1 to 5 January."""


@cache
def flights_spec() -> ProjectSpec:
    return load_project("flights")


@cache
def flight_sources() -> dict[str, SourceRows]:
    """Every source of the project; flights and weather of five days."""
    spec = flights_spec()
    sources = {}
    for name, source in spec.sources.items():
        rows = pd.read_csv(
            _file(source.location),
            na_values=list(source.null_values),
            keep_default_na=False,
            nrows=FLIGHT_COUNT if name == "flights" else None,
            compression="infer",
        )
        if source.event_time:
            rows[source.event_time] = pd.to_datetime(rows[source.event_time]).dt.as_unit("us")
            rows = rows[rows[source.event_time] < pd.Timestamp("2013-01-06T05:00Z")]
        sources[name] = SourceRows.of(name, source, arrow_table(rows))
    return sources


def _file(location: str) -> Path:
    package, _, inside = location.removeprefix("package://").partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"Package {package} is not installed."
        raise FileNotFoundError(message)
    return Path(spec.submodule_search_locations[0]) / inside
