import pytest

from include.errors import ConfigurationError
from tests.support.spec_kit import parsed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("location", "htps://x/y", r"location: 'htps' is no scheme; known schemes: .*Did you mean 'https'\?"),
        ("location", "parcels.csv", r"location is 'parcels\.csv'; write it as a URI"),
        ("format", "sql", r"format sql needs a query"),
        ("query", "select 1", r"no other format takes one"),
        ("key", ["idd"], r"key names column 'idd'"),
        ("key", [], r"key: "),
        ("event_time", "orderd", r"event_time names column 'orderd'.*Did you mean 'ordered'\?"),
        ("event_time", "weight", r"event_time is 'weight', which is no timestamp column"),
        ("rows", {"at_least": 10, "at_most": 9}, r"at_most is 9, below at_least 10"),
        ("quarantine_at_most", 1.5, r"quarantine_at_most: is 1\.5"),
        ("columns.weight.type", "double", r"columns\.weight\.type: is 'double'"),
        ("columns.weight.meaning", "", r"columns\.weight\.meaning: is ''"),
        ("columns.late.known", "arived", r"columns\.late\.known is 'arived'; .*Did you mean 'arrived'\?"),
        ("known", "later", r"known is 'later'; it must be one of"),
        ("times.promised.from", "orderd", r"times\.promised\.from names column 'orderd'"),
        ("times.promised.from", "shelf", r"times\.promised\.from is 'shelf', which is neither a timestamp column"),
        ("times.promised.from", "arrived", r"times\.promised\.from names column 'arrived'"),
        ("times.left.add_minutes", "minuts", r"times\.left\.add_minutes names column 'minuts'.*'minutes'\?"),
        ("times.weight", {"from": "ordered"}, r"times\.weight has the name of a column"),
        ("checks.0.column", "wait", r"checks\[0\] names column 'wait'"),
        ("new_columns", "keep", r"new_columns: is 'keep'.*"),
    ],
)
def test_what_does_not_fit_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"sources\.parcels(?s:.*){message}"):
        parsed({f"sources.parcels.{path}": value})


def test_a_query_needs_no_scheme() -> None:
    spec = parsed(
        {
            "sources.weather.format": "sql",
            "sources.weather.location": "warehouse",
            "sources.weather.query": "select day, rain from weather where day >= :start and day < :end",
        }
    )
    assert spec.sources["weather"].location == "warehouse"


def test_a_register_has_no_event_time() -> None:
    assert parsed().sources["weather"].event_time is None
    assert parsed().sources["weather"].null_values == ("",)
