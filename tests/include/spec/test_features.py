import pytest

from include.errors import ConfigurationError
from tests.support.spec_kit import parsed


def test_a_new_version_is_a_new_table() -> None:
    assert parsed().feature_set.table == "lateness_v2"


def test_what_is_left_out_has_its_default() -> None:
    features = parsed().feature_set
    assert features.joins[0].how == "left"
    assert (features.selection.constant, features.leak_test.moments) == (True, 4)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 0, r"version: is 0"),
        ("function", "features.build", r"function: is 'features\.build'"),
        ("function", "os:system('x')", r"function: is "),
        ("columns", {}, r"columns"),
        ("columns.weight.type", "timestamp", r"columns\.weight\.type: is 'timestamp'"),
        ("joins.0.how", "outer", r"joins\[0\]\.how: is 'outer'"),
        ("joins.0.may_lose", -0.1, r"joins\[0\]\.may_lose: is -0\.1"),
        ("joins.0.on", {}, r"joins\[0\]\.on"),
        ("leak_test", {"moments": 0}, r"leak_test\.moments: is 0"),
        ("selection", {"nulls_at_most": 2}, r"selection\.nulls_at_most: is 2"),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"feature_set\.{message}"):
        parsed({f"feature_set.{path}": value})
