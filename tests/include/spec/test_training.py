import pytest

from include.errors import ConfigurationError
from tests.support.spec_kit import parsed


def test_a_search_has_choices_and_ranges() -> None:
    space = parsed().model.search.space
    assert space["depth"].model_dump() == {"choices": (2, 3)}
    assert space["rate"].model_dump() == {"low": 0.1, "high": 1.0, "log": False}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("split.window", 3, r"window is 3; validation 1 and test 2 leave nothing to train on"),
        ("split.test", 0, r"split\.test: is 0"),
        ("model.search.trials", 0, r"trials: is 0"),
        ("model.search.seconds", "60", r"seconds: '60' is no duration; write .* like 90s or -2h"),
        ("model.search.metric", "auc", r"metric: is 'auc'.*Did you mean 'roc_auc'\?|metric: is 'auc'"),
        ("model.search.space.rate", {"low": 1, "high": 1}, r"low is 1\.0 and high is 1\.0; high must be greater"),
        ("model.search.space.rate", {"low": 0, "high": 1, "log": True}, r"low above 0 for log"),
        ("model.search.space.rate", {"choices": []}, r"choices"),
        ("model.golden_rows", 0, r"golden_rows: is 0"),
        ("evaluation.gates", [], r"gates"),
        ("evaluation.gates", [{"metric": "roc_auc"}], r"exactly one of at_least, at_most, better_than"),
        ("evaluation.gates.0.at_most", 0.9, r"exactly one of at_least, at_most, better_than"),
        ("evaluation.gates", [{"metric": "roc_auc", "better_than": "champ"}], r"better_than: is 'champ'"),
        ("evaluation.bootstrap", 3, r"bootstrap: is 3"),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed({path: value})
