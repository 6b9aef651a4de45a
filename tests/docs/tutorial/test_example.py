import runpy

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from include.spec.load import FILE_NAME, parse_project
from include.spec.project import ProjectSpec
from local_platform.locations import REPOSITORY

EXAMPLE = REPOSITORY / "docs" / "tutorial" / "example"
PAGE = REPOSITORY / "docs" / "tutorial" / "index.md"


@pytest.fixture(scope="module")
def spec() -> ProjectSpec:
    path = EXAMPLE / FILE_NAME
    return parse_project(path.read_text(), path)


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rows of one month, with the times that the spec declares."""
    folder = tmp_path_factory.mktemp("parcels")
    runpy.run_path(str(EXAMPLE / "make_rows.py"))["write"](folder)
    assert len(list(folder.glob("2025-*.csv"))) == 7
    frame = pd.read_csv(folder / "2025-01.csv", parse_dates=["picked_up"])
    return frame.assign(arrived=frame["picked_up"] + pd.to_timedelta(frame["took_minutes"], unit="min"))


def test_the_rows_are_those_of_the_spec(spec: ProjectSpec, january: pd.DataFrame) -> None:
    source = spec.base
    assert set(january.columns) == {*source.columns, *source.times}
    assert source.rows.at_least <= len(january) <= source.rows.at_most
    assert january["parcel"].is_unique


def test_the_features_are_those_of_the_spec_and_know_only_what_arrived(
    spec: ProjectSpec, january: pd.DataFrame
) -> None:
    build = runpy.run_path(str(EXAMPLE / "features.py"))["build_features"]
    features = build(january)
    assert list(features.columns) == [*spec.base.key, *spec.feature_names]
    row = january.iloc[500]
    before = january[
        (january["depot"] == row["depot"])
        & (january["arrived"] <= row["picked_up"])
        & (january["arrived"] > row["picked_up"] - pd.Timedelta(hours=12))
    ]
    expected = float((before["delay_minutes"] >= 30).mean())
    assert np.isclose(features.loc[500, "depot_late_share_12h"], expected)


def test_the_pipeline_is_unfitted_and_takes_the_spec_s_parameters() -> None:
    build = runpy.run_path(str(EXAMPLE / "model.py"))["build_pipeline"]
    pipeline = build({"learning_rate": 0.2, "seed": 3})
    assert isinstance(pipeline, Pipeline)
    assert pipeline.named_steps["trees"].learning_rate == 0.2


def test_the_page_shows_the_files_and_copies_all_of_them() -> None:
    text = PAGE.read_text()
    for name in ("project.yaml", "features.py", "model.py"):
        assert f"{{literalinclude}} example/{name}" in text
    needed = {path.name for path in EXAMPLE.iterdir() if path.is_file()}
    assert needed == {"__init__.py", "features.py", "make_rows.py", "model.py", "project.yaml"}
    assert "cp -r docs/tutorial/example include/projects/parcels\n" in text
