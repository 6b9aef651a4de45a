"""What a feature function returns is held against the spec and the rows it was given."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pytest

from include.errors import ConfigurationError, DataRejectedError
from include.steps.features.function import FeatureFunction
from include.steps.features.joins import joined
from tests.support.worlds.feature_world import bus_rows, buses_project, buses_spec, source_rows


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with buses_project(tmp_path_factory.mktemp("bundle")):
        yield


def called(function: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frame that a function was given, and what came back."""
    spec = buses_spec(feature_set__function=f"features:{function}")
    frame = joined(spec.feature_set, source_rows(spec, bus_rows(200))).frame
    return frame, FeatureFunction(spec)(frame)


def test_declared_features_in_declared_order() -> None:
    _, features = called("build")
    assert list(features.columns) == ["stop", "zone", "rain", "minute", "recent_wait", "fixed", "line"]


def test_rows_in_another_order_are_put_back() -> None:
    _, ordered = called("build")
    frame, shuffled = called("build_shuffled")
    pd.testing.assert_frame_equal(shuffled, ordered)
    assert shuffled.index.equals(frame.index)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("build_fewer", r"given 200 rows and returned 197: 3 keys are missing, 0 are new, 0 rows are duplicates"),
        ("build_doubled", r"given 200 rows and returned 202: 0 keys are missing, 0 are new, 2 rows are duplicates"),
    ],
)
def test_other_rows_are_refused(function: str, expected: str) -> None:
    with pytest.raises(DataRejectedError, match=expected):
        called(function)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("build_list", r"returns list, not a pandas DataFrame"),
        ("build_renamed", r"does not return recent_wait, .* Did you mean 'recent_waits'\?"),
        ("build_more", r"returns further, which the spec does not declare under feature_set.columns"),
    ],
)
def test_other_columns_are_refused(function: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        called(function)


def test_declared_types() -> None:
    spec = buses_spec()
    frame, features = called("build")
    table = FeatureFunction(spec).table(features)
    assert table.schema.field("fixed").type == pa.int64()
    assert table.schema.field("recent_wait").type == pa.float64()
    assert table.schema.field("stop").type == pa.string()
    assert table.num_rows == len(frame)


def test_whole_numbers_with_nulls_stay_whole() -> None:
    spec = buses_spec()
    _, features = called("build")
    features["minute"] = features["minute"].astype("float64").mask(features.index < 2)
    column = FeatureFunction(spec).table(features).column("minute")
    assert column.type == pa.int64()
    assert column.null_count == 2


def test_a_type_that_does_not_fit() -> None:
    spec = buses_spec(feature_set__function="features:build_text")
    _, features = called("build_text")
    with pytest.raises(ConfigurationError, match=r"feature 'zone' is .*, which does not fit its declared type float64"):
        FeatureFunction(spec).table(features)


def test_infinite_numbers_are_refused() -> None:
    spec = buses_spec(feature_set__function="features:build_infinite")
    _, features = called("build_infinite")
    with pytest.raises(DataRejectedError, match=r"feature 'zone' is infinite in 200 rows"):
        FeatureFunction(spec).table(features)
