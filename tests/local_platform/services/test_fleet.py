import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local_platform.console import Console
from local_platform.errors import PlatformStartError
from local_platform.locations import STATE_VARIABLE, State
from local_platform.services import fleet
from local_platform.services.fleet import Fleet
from local_platform.services.services import Service


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def service(state: State, code: str, *, is_ready: Callable[[], bool] = lambda: True) -> Service:
    variables = {STATE_VARIABLE: str(state.root), "PATH": os.environ["PATH"]}
    return Service(
        name="thing", words=(sys.executable, "-c", code), variables=variables, is_ready=is_ready, grace_seconds=1.0
    )


SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def test_a_service_runs_until_its_fleet_stops_it(state: State) -> None:
    stream = io.StringIO()
    own = Fleet(state, Console(stream))
    thing = service(state, SLEEP, is_ready=lambda: bool(fleet.running(state)))
    own.start(thing)
    own.wait([thing], timeout_seconds=30)
    assert "thing                  ready after" in stream.getvalue()
    guard = fleet.running(state)["thing"]
    own.stop()
    assert not guard.is_alive
    assert list(state.services.iterdir()) == []


def test_a_service_that_ends_early_is_reported_with_the_end_of_its_log(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    thing = service(state, "raise SystemExit('the port is taken')", is_ready=lambda: False)
    own.start(thing)
    with pytest.raises(
        PlatformStartError, match=r"thing ended with code 1 before it was ready.*\n    the port is taken"
    ):
        own.wait([thing], timeout_seconds=30)
    own.stop()


def test_a_service_that_never_gets_ready_is_reported(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    thing = service(state, SLEEP, is_ready=lambda: False)
    own.start(thing)
    with pytest.raises(PlatformStartError, match=r"thing was not ready after 0\.\d s"):
        own.wait([thing], timeout_seconds=0.1)
    own.stop()


def test_what_must_end_by_itself_is_waited_for(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    own.complete(service(state, "pass"))
    with pytest.raises(PlatformStartError, match="thing ended with code 3"):
        own.complete(service(state, "raise SystemExit(3)"))


def test_a_detached_service_is_ended_by_whoever_clears_the_state(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    thing = service(state, SLEEP, is_ready=lambda: bool(fleet.running(state)))
    own.start(thing)
    own.wait([thing], timeout_seconds=30)
    (left,) = own.detach()
    own.stop()
    guard = fleet.running(state)["thing"]
    assert fleet.clear(state) == ["thing"]
    assert not guard.is_alive
    assert left.wait(10) != 0
    assert fleet.clear(state) == []


def test_a_service_whose_guard_was_killed_is_ended_at_the_next_start(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    thing = service(state, SLEEP, is_ready=lambda: bool(fleet.running(state)))
    own.start(thing)
    own.wait([thing], timeout_seconds=30)
    os.kill(fleet.running(state)["thing"].pid, 9)
    assert fleet.clear(state) == ["thing"]
    own.stop()


def test_the_log_of_the_last_start_is_kept(state: State) -> None:
    own = Fleet(state, Console(io.StringIO()))
    own.complete(service(state, "print('first')"))
    own.complete(service(state, "print('second')"))
    assert fleet.log_of(state, "thing").read_text() == "second\n"
    assert (state.logs / "thing.previous.log").read_text() == "first\n"


def test_a_torn_record_is_no_process(state: State) -> None:
    state.services.mkdir(parents=True)
    (state.services / "thing.json").write_text('{"name": "thing", "gu')
    assert fleet.running(state) == {}
