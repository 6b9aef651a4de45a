from include.contract.command import ENTRY_POINT, StepCommand, subject_of, task_name
from include.contract.step_names import StepName
from include.runtime.cli import command_of


def _command(**changes: object) -> StepCommand:
    fields = {"step": StepName.INGEST, "project": "flights", "partition": "2013-03", "run": "r 1", **changes}
    return StepCommand(**fields)  # type: ignore[arg-type]  # changes are what a test changes


def test_a_command_is_its_command_line() -> None:
    command = _command(attempt=2, options=(("source", "weather"),))
    assert command.arguments() == [
        "ingest", "--project", "flights", "--partition", "2013-03", "--run", "r 1", "--attempt", "2",
        "--source", "weather",
    ]  # fmt: skip
    assert ENTRY_POINT == ("-m", "include.steps")


def test_the_cli_reads_back_what_a_command_says() -> None:
    for command in (
        _command(options=(("source", "weather"),)),
        _command(step=StepName.DEPLOY, attempt=3, options=(("window", "9"), ("promote", "no"))),
        _command(step=StepName.PROFILE, code="sha256:0a1b"),
        _command(step=StepName.SCORE, run="scheduled__2013-03-01T05:00:00+00:00"),
    ):
        assert command_of(command.arguments()) == command


def test_the_subject_is_the_partition_and_the_source_where_there_is_one() -> None:
    assert _command(options=(("source", "weather"),)).subject == "2013-03/weather"
    assert _command(step=StepName.TRAIN, options=(("window", "9"),)).subject == "2013-03"
    assert subject_of("2013-03", None) == "2013-03"


def test_a_task_is_named_by_its_step_and_the_source_that_it_is_for() -> None:
    assert task_name("ingest", None) == "ingest"
    assert task_name(StepName.INGEST, "weather") == "ingest_weather"


def test_the_environment_is_not_shown() -> None:
    assert "canary" not in repr(_command(environment=(("AWS_REGION", "canary"),)))
