import logging
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from include.errors import TemporaryError
from plugins.operators.local import operator as local_step
from plugins.operators.local.operator import LocalStepOperator
from tests.support.processes import all_gone, is_running
from tests.support.step_bundle import BEHAVIOUR, Bundle, fork_server, make_bundle, wait_until
from tests.support.task_log import TaskLog


class Task(LocalStepOperator):
    """The operator, with a log that the test reads."""

    lines = TaskLog()
    grace_seconds = 0.3

    @property
    def log(self) -> Any:
        return self.lines


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bundle, Path]]:
    folder = tmp_path_factory.mktemp("steps")
    bundle = make_bundle(folder)
    sockets = folder / "s"
    sockets.mkdir(mode=0o700)
    with fork_server(bundle, sockets / "fork.sock"):
        yield bundle, sockets / "fork.sock"


@pytest.fixture(params=["forked", "ordinary"])
def bundle(
    request: pytest.FixtureRequest, shared: tuple[Bundle, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Bundle:
    bundle, socket = shared
    fresh = Bundle(bundle.root, tmp_path)
    monkeypatch.setattr(local_step, "code_folder", lambda: bundle.root)
    monkeypatch.setenv("ML_OBJECTS_URI", (tmp_path / "objects").as_uri())
    monkeypatch.setenv("ML_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    if request.param == "forked":
        monkeypatch.setenv("ML_FORK_SERVER", str(socket))
    else:
        monkeypatch.delenv("ML_FORK_SERVER", raising=False)
    return fresh


def task(**more: Any) -> tuple[LocalStepOperator, TaskLog]:
    given: dict[str, Any] = {"task_id": "ingest", "step": "ingest", "project": "flights", "partition": "2013-03"}
    Task.lines = TaskLog()
    return Task(**given | {"source": "flights"} | more), Task.lines


def execute(operator: LocalStepOperator, attempt: int = 1, resources: dict[str, Any] | None = None) -> Any:
    context: Any = {
        "run_id": "manual__1", "ti": SimpleNamespace(try_number=attempt), "params": {"resources": resources or {}}
    }  # fmt: skip
    operator.pre_execute(context)
    return operator.execute(context)


def not_forked(lines: TaskLog) -> list[str]:
    return [text for text in lines.texts_at(logging.WARNING) if text.startswith("Not forked")]


def test_a_step_that_is_done_returns_a_small_reference(bundle: Bundle) -> None:
    operator, lines = task()
    reference = execute(operator)
    assert reference["status"] == "done"
    assert reference["row_counts"] == {"rows": 3}
    assert (bundle.folder / "objects" / reference["receipt"]).is_file()
    assert any(text.startswith("done: seconds=") for text in lines.texts_at(logging.INFO))
    assert execute(operator, attempt=2)["status"] == "already_done"


def test_one_warning_says_why_a_step_is_not_forked(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    is_forked = "ML_FORK_SERVER" in os.environ
    operator, lines = task()
    execute(operator)
    expected = [] if is_forked else ["Not forked, so this step imports its libraries anew: ML_FORK_SERVER is not set"]
    assert not_forked(lines) == expected
    monkeypatch.setenv("ML_FORK_SERVER", str(bundle.folder / "nobody.sock"))
    operator, lines = task()
    execute(operator, attempt=2)
    assert len(not_forked(lines)) == 1
    assert "did not respond" in not_forked(lines)[0]


def test_one_warning_names_what_a_machine_without_a_cluster_does_not_enforce(bundle: Bundle) -> None:
    operator, lines = task()
    execute(operator, resources={"ingest": {"gpu": 1, "memory": "2Gi"}})
    warnings = [text for text in lines.texts_at(logging.WARNING) if text.startswith("Without effect on this machine")]
    assert len(warnings) == 1
    assert "gpu=1" in warnings[0]
    assert "memory=2Gi" in warnings[0]
    assert "cpu" not in warnings[0]


def test_the_trigger_form_sets_threads_and_time_limit(bundle: Bundle) -> None:
    operator, _ = task()
    receipt = execute(operator, resources={"ingest": {"cpu": 3, "timeout": "5m"}})["receipt"]
    assert '"threads":"3"' in (bundle.folder / "objects" / receipt).read_text()
    assert operator.execution_timeout == timedelta(minutes=5)


def test_the_form_of_another_step_changes_nothing(bundle: Bundle) -> None:
    operator, _ = task(execution_timeout=timedelta(minutes=9))
    execute(operator, resources={"train": {"timeout": "5m"}})
    assert operator.execution_timeout == timedelta(minutes=9)


def test_a_wrong_resource_is_not_retried(bundle: Bundle) -> None:
    operator, _ = task()
    with pytest.raises(AirflowFailException, match=r"Parameter 'resources', ingest.*'memry' is no key.*'memory'"):
        execute(operator, resources={"ingest": {"memry": "2Gi"}})


def test_a_step_sees_its_settings_and_nothing_of_airflow(bundle: Bundle) -> None:
    operator, _ = task()
    receipt = (bundle.folder / "objects" / execute(operator)["receipt"]).read_text()
    assert '"threads":"1"' in receipt
    assert f'"folder":"{bundle.root}"' in receipt
    assert "AIRFLOW" not in receipt
    assert "FERNET" not in receipt


@pytest.mark.parametrize(
    ("behaviour", "error", "match"),
    [
        ("skip", AirflowSkipException, "nothing to deploy"),
        ("rejected", AirflowFailException, r"^Column dep_time is missing\.$"),
        ("configuration", AirflowFailException, r"^There is no such function\.$"),
        ("temporary", TemporaryError, r"^The store does not answer\.$"),
        ("bug", TemporaryError, "KeyError in the platform's code"),
        ("no receipt", TemporaryError, "exited with 0, but left no receipt"),
        ("killed before", TemporaryError, "was ended by SIGKILL before it left a receipt"),
    ],
)
def test_how_a_step_ends_decides_how_the_task_does(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, behaviour: str, error: type[Exception], match: str
) -> None:
    monkeypatch.setenv(BEHAVIOUR, behaviour)
    operator, _ = task()
    with pytest.raises(error, match=match):
        execute(operator)


def test_a_step_that_was_killed_after_its_receipt_is_done(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "killed after")
    operator, _ = task()
    assert execute(operator)["status"] == "done"


def test_an_unknown_project_is_not_retried(bundle: Bundle) -> None:
    operator, _ = task(project="flight")
    with pytest.raises(AirflowFailException, match="There is no project 'flight'"):
        execute(operator)


def test_lines_come_in_order_while_the_step_works(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "lines")
    operator, lines = task()
    execute(operator)
    texts = lines.texts
    mixed = [text for text in texts if text.startswith(("out", "err"))]
    assert mixed == ["out 0", "err 0", "out 1", "err 1", "out 2", "err 2"]
    moments = [moment for text, moment in zip(texts, lines.moments, strict=True) if text.startswith("out")]
    assert moments == sorted(set(moments))
    assert "half of the rows are new: row_count=3" in lines.texts_at(logging.WARNING)


def test_a_task_that_is_killed_leaves_nothing_running(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "hang")
    operator, _ = task()
    pids: list[int] = []

    def kill() -> None:
        pids.extend(bundle.pids("ingest"))
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TemporaryError, match="was ended by Airflow, and its step with it"):
        execute(operator)
    killer.join()
    assert len(pids) == 2
    assert all_gone(pids)


def test_a_task_that_runs_out_of_time_leaves_nothing_running(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "hang")
    operator, lines = task(execution_timeout=timedelta(seconds=60))

    def let_time_run_out() -> None:
        bundle.pids("ingest")
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    alarm = threading.Thread(target=let_time_run_out)
    # As the task runner does it: an alarm that raises wherever the task is.
    with timeout(60):
        alarm.start()
        with pytest.raises(AirflowTaskTimeout):
            execute(operator)
    alarm.join()
    assert all_gone(bundle.pids("ingest"))
    assert "hanging" in lines.texts_at(logging.INFO)
    operator.on_kill()


def test_nothing_runs_on_when_the_tasks_own_process_is_killed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "hang")
    pid = os.fork()
    if pid == 0:
        try:
            execute(task()[0])
        finally:
            os._exit(0)
    pids = bundle.pids("ingest")
    assert all(is_running(one) for one in pids)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: all_gone(pids), "the group to end")


def test_a_task_whose_supervisor_is_gone_ends_its_step(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEHAVIOUR, "hang")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        for descriptor in (reading, writing):
            os.close(descriptor)
        try:
            execute(task()[0])
        except TemporaryError as error:
            os._exit(7 if "supervisor of this task is gone" in str(error) else 1)
        finally:
            os._exit(2)
    os.close(writing)
    pids = bundle.pids("ingest")
    os.close(reading)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert all_gone(pids)


@pytest.mark.parametrize("bundle", ["ordinary"], indirect=True)
def test_a_fork_server_that_is_killed_takes_the_step_along_and_the_next_attempt_needs_none(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = bundle.folder / "s"
    sockets.mkdir(mode=0o700)
    monkeypatch.setenv(BEHAVIOUR, "hang")
    monkeypatch.setenv("ML_FORK_SERVER", str(sockets / "fork.sock"))
    with fork_server(bundle, sockets / "fork.sock") as server:

        def kill() -> None:
            bundle.pids("ingest")
            server.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        operator, _ = task()
        with pytest.raises(TemporaryError, match="was ended by SIGKILL before it left a receipt"):
            execute(operator)
        killer.join()
        wait_until(lambda: all_gone(bundle.pids("ingest")), "the group to end")
    monkeypatch.setenv(BEHAVIOUR, "done")
    operator, lines = task()
    assert execute(operator, attempt=2)["status"] == "done"
    assert "did not respond" in not_forked(lines)[0]


def test_templates_are_partition_and_options() -> None:
    assert tuple(LocalStepOperator.template_fields) == ("partition", "options")
