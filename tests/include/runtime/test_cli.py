import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.contract import settings
from include.contract.code_digest import code_digest
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError
from include.runtime import cli
from include.runtime.context import Plan, StepContext, Work
from tests.support.step_bundle import make_bundle, step_environment
from tests.support.step_results import least

CALL = ["score", "--project", "flights", "--partition", "2013-10", "--run", "by-hand"]


class _Step:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def plan(self, _context: StepContext) -> Plan:
        if self.error is not None:
            raise self.error
        return Plan(inputs=(), parameters={}, work=lambda _identity: Work(outputs=(), results=least("score")))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation in a folder."""
    monkeypatch.setenv(settings.TABLES_URI, (tmp_path / "tables").as_uri())
    monkeypatch.setenv(settings.OBJECTS_URI, (tmp_path / "objects").as_uri())
    monkeypatch.delenv(settings.DIE_WITH_PARENT, raising=False)
    return tmp_path


def _with(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
    monkeypatch.setattr("include.runtime.runner.step_module", lambda _step: _Step(error))


def _events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_step_that_is_done_ends_with_0(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(monkeypatch)
    assert cli.main(CALL) == 0
    assert cli.main(CALL) == 0
    events = _events(capsys.readouterr().err)
    assert [event["event"] for event in events] == ["started", "done", "started", "already done"]
    assert {event["step"] for event in events} == {"score"}
    assert {event["run"] for event in events} == {"by-hand"}


@pytest.mark.parametrize(
    ("error", "code", "event"),
    [
        (DataRejectedError("Bad rows.\nSecond line."), 65, "failed"),
        (NothingToDoError("No champion."), 99, "skipped"),
        (ZeroDivisionError("by zero"), 70, "failed"),
    ],
)
def test_an_error_gives_its_exit_code_and_its_line_where_it_is_asked_for(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    event: str,
) -> None:
    _with(monkeypatch, error)
    monkeypatch.setenv(settings.ERROR_PATH, str(place / "error"))
    assert cli.main(CALL) == code
    assert _events(capsys.readouterr().err)[-1]["event"] == event
    written = (place / "error").read_text()
    assert written == (
        "ZeroDivisionError in the platform's code: see the lines above" if code == 70 else str(error).splitlines()[0]
    )


def test_a_bug_is_shown_with_its_stack(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(monkeypatch, ZeroDivisionError("by zero"))
    cli.main(CALL)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"--project": "fligths"}, "There is no project 'fligths'"),
        ({"--partition": "2013-3"}, "Partition '2013-3' is not a month"),
        ({"--partition": "latest"}, "Partition 'latest' is not a month"),
    ],
)
def test_a_call_that_makes_no_sense_is_a_matter_of_configuration(
    place: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], expected: str
) -> None:
    call = list(CALL)
    for name, value in changes.items():
        call[call.index(name) + 1] = value
    assert cli.main(call) == 78
    assert expected in str(_events(capsys.readouterr().err)[-1]["message"])


def test_a_setting_that_is_missing_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(monkeypatch)
    monkeypatch.delenv(settings.OBJECTS_URI)
    assert cli.main(CALL) == 78
    assert "Environment variable ML_OBJECTS_URI is not set" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--project", "--partition", "--run"])
def test_nothing_falls_back_to_a_default_that_nobody_asked_for(
    capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    place = CALL.index(missing)
    with pytest.raises(SystemExit, match="78"):
        cli.main(CALL[:place] + CALL[place + 2 :])
    assert missing in capsys.readouterr().err


def test_a_command_line_that_is_none_leaves_last_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ERROR_PATH, str(place / "error"))
    with pytest.raises(SystemExit, match="78"):
        cli.main(CALL[:-2])
    assert "--run" in (place / "error").read_text()


def test_a_deadline_that_is_none_is_a_matter_of_configuration(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(monkeypatch)
    monkeypatch.setenv(settings.DEADLINE_SECONDS, "soon")
    assert cli.main(CALL) == 78
    assert "ML_DEADLINE_SECONDS is 'soon'" in capsys.readouterr().err


def test_options_are_those_of_the_step() -> None:
    command = cli.command_of(["deploy", *CALL[1:], "--promote", "no", "--window", "9"])
    assert command.options == (("window", "9"), ("promote", "no"))
    with pytest.raises(SystemExit, match="78"):
        cli.command_of([*CALL, "--promote", "no"])


@pytest.mark.parametrize("step", StepName)
def test_every_word_has_a_help(step: StepName, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.command_of([step.value, "--help"])
    assert "--partition" in capsys.readouterr().out


def test_the_cli_runs_as_a_module_in_a_process_of_its_own(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.steps", *CALL],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, settings.DIE_WITH_PARENT: "1"},
    )
    assert done.returncode == 99, done.stderr
    events = _events(done.stderr)
    assert [event["event"] for event in events] == ["started", "skipped"]
    assert "has no champion yet" in str(events[-1]["reason"])
    assert (place / "objects" / "runs" / "flights" / "by-hand" / "score" / "2013-10" / "001" / "000.json").is_file()


def test_a_step_of_other_code_than_the_command_wants_refuses(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(monkeypatch)
    assert cli.main([*CALL, "--code", code_digest(StepName.SCORE, "flights")]) == 0
    assert cli.main([*CALL, "--code", "sha256:other"]) == 78
    message = str(_events(capsys.readouterr().err)[-1]["message"])
    assert "wants code sha256:other" in message
    assert code_digest(StepName.SCORE, "flights") in message


def test_a_receipt_holds_until_code_changes_that_its_step_can_reach(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)

    def ending() -> object:
        words = [sys.executable, "-m", "include.steps", "ingest", *CALL[1:], "--source", "flights"]
        environment = step_environment(bundle, tmp_path / "objects")
        done = subprocess.run(words, cwd=bundle.root, env=environment, capture_output=True, text=True, check=True)
        return _events(done.stderr)[-1]["event"]

    def edit(name: str) -> None:
        with (bundle.root / "include" / name).open("a") as file:
            file.write("\n# changed\n")

    assert ending() == "done"
    for name in ("runtime/forking/server.py", "serving/web/app.py", "steps/evaluate/card.py", "steps/train/step.py"):
        edit(name)
    assert ending() == "already done"
    edit("steps/ingest/read_csv.py")
    assert ending() == "done"
