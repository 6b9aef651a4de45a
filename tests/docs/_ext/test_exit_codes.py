from docs._ext.exit_codes import classes, markdown
from include import errors


def test_every_error_is_there_with_its_code() -> None:
    assert {errors.LeakError, errors.ConfigurationError, errors.NothingToDoError} <= set(classes())
    for kind in classes():
        assert f"| {kind.exit_code} | `{kind.__name__}` |" in markdown()


def test_the_verdict_follows_from_the_branch() -> None:
    rows = {row.split(" | ")[1]: row for row in markdown().splitlines()}
    assert rows["`ConfigurationError`"].endswith("| failed, no retry |")
    assert rows["`LeaseLostError`"].endswith("| retry |")
    assert rows["`NothingToDoError`"].endswith("| skipped |")
