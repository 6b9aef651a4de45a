from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from include.errors import DataRejectedError
from include.modeling.rows import to_frame
from include.steps.score.batch import BatchModel
from tests.support.worlds.scored_world import COLUMNS, sealed
from tests.support.worlds.training_world import World


def test_the_score_is_the_probability_of_the_positive_class(world: World) -> None:
    bundle = sealed(world, "2024-04")
    rows = world.tables.read(world.table, "2024-05")
    expected = bundle.load().predict_proba(to_frame(rows.select(list(COLUMNS))))
    assert np.array_equal(BatchModel(bundle).scores(rows), expected[:, 1])
    inverted = replace(bundle, manifest=bundle.manifest.model_copy(update={"positive_class": 0}))
    assert np.array_equal(BatchModel(inverted).scores(rows), expected[:, 0])


def test_a_model_that_predicts_gives_what_it_predicts(world: World) -> None:
    bundle = sealed(world, "2024-04")
    plain = replace(bundle, manifest=bundle.manifest.model_copy(update={"predict": "predict", "positive_class": None}))
    scores = BatchModel(plain).scores(world.tables.read(world.table, "2024-05"))
    assert set(scores.tolist()) == {0.0, 1.0}


def test_no_rows_have_no_scores(world: World) -> None:
    rows = world.tables.read(world.table, "2024-05")[:0]
    assert len(BatchModel(sealed(world, "2024-04")).scores(rows)) == 0


def test_rows_that_the_model_refuses_are_reported_without_a_value(world: World) -> None:
    rows = world.tables.read(world.table, "2024-05")
    texts = rows.set_column(rows.column_names.index("size"), "size", pa.array(["a secret"] * rows.num_rows))
    with pytest.raises(DataRejectedError, match="refuses the rows: ValueError") as caught:
        BatchModel(sealed(world, "2024-04")).scores(texts)
    assert "a secret" not in str(caught.value)


def test_missing_columns_are_named(world: World) -> None:
    with pytest.raises(DataRejectedError, match="requires columns gap, riders, which table 'f' does not have"):
        BatchModel(sealed(world, "2024-04")).check("f", ["place", "size", "noise"])
