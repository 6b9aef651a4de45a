import pytest

from include.errors import ConfigurationError
from include.spec.lineage import moments_before_prediction
from tests.support.spec_kit import parsed


def test_what_is_known_when_the_prediction_is_made() -> None:
    spec = parsed()
    known = moments_before_prediction(spec.base, spec.feature_set)
    assert known == {"id", "ordered", "shelf", "weight", "promised", "asked", "day"}


def test_a_later_prediction_knows_more() -> None:
    spec = parsed(
        {"feature_set.prediction_time": "arrived", "target.column": "weight", "target.name": "heavy"} | _no_target()
    )
    assert {"left", "arrived", "minutes", "late"} <= moments_before_prediction(spec.base, spec.feature_set)


def _no_target() -> dict[str, object]:
    """A column that is known only later, to predict."""
    column = {"type": "float64", "meaning": "Weight again.", "known": "weighed"}
    return {
        "sources.parcels.columns.again": column,
        "sources.parcels.times.weighed": {"from": "arrived", "offset": "1d"},
        "target.column": "again",
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("columns.weight.of", ["late"], r"columns\.weight\.of uses 'late' of its own row, .*known only at 'arrived'"),
        ("columns.weight.of", ["left"], r"uses 'left' of its own row"),
        ("columns.late", {"meaning": "Days late.", "of": ["weight"]}, r"columns\.late uses 'late' of its own row"),
        ("columns.weight.of", ["wait"], r"columns\.weight\.of is 'wait', which source 'parcels' does not have"),
        ("columns.weight.of", ["weather.rian"], r"which source 'weather' does not have\. Did you mean 'rain'\?"),
        ("columns.weight.of", ["wether.rain"], r"source 'wether' is not joined\. Did you mean 'weather'\?"),
        ("columns.before.history_of", ["lat"], r"columns\.before\.history_of is 'lat'"),
        ("columns.weight.of", [], r"a feature needs at least one column"),
        ("prediction_time", "askd", r"prediction_time is 'askd'.*Did you mean 'asked'\?"),
    ],
)
def test_hindsight_is_refused_by_declaration(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed({f"feature_set.{path}": value})


def test_history_may_use_what_the_own_row_may_not() -> None:
    assert parsed().feature_set.columns["before"].history_of == ("late", "arrived")


def test_a_target_that_is_known_is_no_target() -> None:
    with pytest.raises(ConfigurationError, match=r"target\.column is 'weight', which is known before"):
        parsed({"target.column": "weight"})


def test_a_time_that_is_cut_down_is_never_certainly_later() -> None:
    spec = parsed(
        {"sources.parcels.columns.shelf.known": "asked", "feature_set.prediction_time": "day", "feature_set.joins": []}
        | {"feature_set.columns.rain": None, "evaluation.slices": []}
    )
    assert "shelf" not in moments_before_prediction(spec.base, spec.feature_set)
