import json
from pathlib import Path

import pytest

from include.errors import ConfigurationError
from include.operations.__main__ import main, parser
from include.stores.from_env import Stores


def test_rollback_takes_a_project_a_reason_and_a_person() -> None:
    given = parser().parse_args(["rollback", "--project", "flights", "--why", "wrong", "--to", "3", "--who", "ann"])
    assert (given.operation, given.project, given.why, given.to, given.who) == (
        "rollback",
        "flights",
        "wrong",
        3,
        "ann",
    )


@pytest.mark.parametrize("words", [[], ["rollback", "--project", "flights"], ["undo"]])
def test_command_line_that_is_none_is_the_configurations_fault(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == ConfigurationError.exit_code


def test_operation_that_fails_says_why_and_ends_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = Stores({"ML_OBJECTS_URI": tmp_path.as_uri()})
    code = main(["rollback", "--project", "flights", "--why", "wrong"], stores)
    assert code == ConfigurationError.exit_code
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert "nothing to go back to" in told["message"]
    assert told["operation"] == "rollback"
