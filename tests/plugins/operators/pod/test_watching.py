from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.client import models as k8s

from plugins.operators.pod.attempt import LogPosition
from plugins.operators.pod.watching import GONE, MARGIN_SECONDS, PodState, Stage, forward_log, state_of
from tests.support.worlds.pod_world import ended, running, status, unschedulable, waiting


def read(there: k8s.V1PodStatus, deleted_at: datetime | None = None) -> PodState:
    meta = k8s.V1ObjectMeta(name="p", deletion_timestamp=deleted_at)
    return state_of(k8s.V1Pod(metadata=meta, status=there))


def test_a_pod_that_works() -> None:
    assert read(running()) == PodState(stage=Stage.WORKING)


def test_a_pod_that_just_came_to_be_waits() -> None:
    state = read(status())
    assert state.stage is Stage.WAITING
    assert not state.is_unrecoverable
    assert not state.is_without_room


def test_a_pod_without_a_node_waits_for_room() -> None:
    state = read(unschedulable())
    assert state.is_without_room
    assert state.what == "Unschedulable: 0/1 nodes are available: 1 Insufficient memory."


@pytest.mark.parametrize(
    ("reason", "message", "is_unrecoverable"),
    [
        ("ErrImagePull", 'failed to resolve reference "r/i@sha256:0": not found', True),
        ("ImagePullBackOff", 'Back-off pulling image "r/i": not found', True),
        ("InvalidImageName", "couldn't parse image name", True),
        ("CreateContainerConfigError", 'secret "ml-connection-s3" not found', True),
        ("CreateContainerConfigError", "couldn't find key A in Secret ml-steps/ml-connection-s3", True),
        ("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition", False),
        ("ErrImagePull", "dial tcp 10.0.0.1:5000: connect: connection refused", False),
        ("ImagePullBackOff", "429 Too Many Requests", False),
        ("ContainerCreating", "", False),
    ],
)
def test_what_will_never_come_differs_from_what_may(reason: str, message: str, *, is_unrecoverable: bool) -> None:
    state = read(waiting(reason, message))
    assert (state.stage, state.is_unrecoverable, state.reason) == (Stage.WAITING, is_unrecoverable, reason)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (65, 65), (137, -9), (143, -15)])
def test_an_exit_code_is_that_of_a_process(code: int, expected: int) -> None:
    state = read(ended(code, said="The store does not answer.\nmore"))
    assert (state.has_ended, state.exit_code, state.termination_message) == (
        True,
        expected,
        "The store does not answer.",
    )


def test_the_pods_own_reason_is_more_precise_than_the_containers() -> None:
    state = read(ended(137, "Error", reason="DeadlineExceeded", message="Pod was active longer than specified"))
    assert state.reason == "DeadlineExceeded"
    assert read(ended(137, "OOMKilled")).reason == "OOMKilled"


def test_a_pod_that_was_ended_before_it_began_has_no_exit_code() -> None:
    state = read(status("Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert (state.has_ended, state.exit_code, state.reason) == (True, None, "Evicted")


def test_a_program_that_could_not_start_has_no_exit_code() -> None:
    state = read(ended(128, "StartError", said="exec: python: not found"))
    assert (state.exit_code, state.termination_message, state.message) == (None, "", "exec: python: not found")


def test_no_pod_has_ended() -> None:
    assert state_of(None) is GONE


def test_a_pod_that_should_be_gone_long_since_lies_on_a_lost_node() -> None:
    now = datetime.now(UTC)
    assert read(running(), now).stage is Stage.WORKING
    assert read(running(), now - timedelta(minutes=5)) is GONE


class Lines:
    def __init__(self) -> None:
        self.data = b""
        self.is_flushed = False

    def take(self, data: bytes) -> None:
        self.data += data

    def flush(self) -> None:
        self.is_flushed = True


class Written:
    """A log to which a step writes, requested in pieces of time."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, bytes]] = []
        self.requested: list[int | None] = []
        self.now = 100.0

    def write(self, at: float, text: bytes) -> None:
        stamp = f"2026-01-01T00:{int(at) // 60:02d}:{at % 60:012.9f}Z ".encode()
        self.lines.append((at, stamp + text))

    def log(self, name: str, since_seconds: int | None) -> bytes:
        assert name == "pod"
        self.requested.append(since_seconds)
        return b"".join(line for at, line in self.lines if since_seconds is None or at >= self.now - since_seconds)


@pytest.fixture
def log() -> Written:
    return Written()


def handed_on(log: Written, position: LogPosition, *, is_final: bool = False) -> tuple[LogPosition, bytes]:
    lines = Lines()
    position = forward_log(log, "pod", position, lines, now=log.now, is_final=is_final)
    assert lines.is_flushed == is_final
    return position, lines.data


def test_each_line_comes_once_however_often_it_is_requested(log: Written) -> None:
    position, got = LogPosition(), b""
    for number in range(50):
        log.write(100.0 + number / 7, f"line {number}\n".encode())
        if number % 3 == 0:
            log.now = 100.0 + number / 7
            position, data = handed_on(log, position)
            got += data
    position, data = handed_on(log, position, is_final=True)
    assert got + data == b"".join(f"line {number}\n".encode() for number in range(50))
    assert handed_on(log, position, is_final=True)[1] == b""


def test_equal_texts_of_different_moments_are_different_lines(log: Written) -> None:
    log.write(100.0, b"again\n")
    position, _ = handed_on(log, LogPosition())
    log.write(100.1, b"again\n")
    assert handed_on(log, position)[1] == b"again\n"


def test_lines_of_two_streams_may_be_out_of_order(log: Written) -> None:
    log.write(100.2, b"out\n")
    position, _ = handed_on(log, LogPosition())
    log.write(100.1, b"err\n")
    assert handed_on(log, position)[1] == b"err\n"


def test_a_line_without_its_end_waits_for_it(log: Written) -> None:
    log.write(100.0, b"whole\n")
    log.write(100.5, b"half")
    position, data = handed_on(log, LogPosition())
    assert data == b"whole\n"
    assert handed_on(log, position, is_final=True)[1] == b"half\n"


def test_only_what_is_new_is_requested_with_a_margin(log: Written) -> None:
    position, _ = handed_on(log, LogPosition())
    log.now = 130.5
    handed_on(log, position)
    assert log.requested == [None, 31 + MARGIN_SECONDS]


def test_a_last_line_that_is_too_old_to_be_there_hides_nothing(log: Written) -> None:
    log.write(100.0, b"old\n")
    position, _ = handed_on(log, LogPosition())
    log.lines.clear()  # the file was rotated
    log.write(101.0, b"new\n")
    assert handed_on(log, position)[1] == b"new\n"


def test_a_line_of_the_kubelets_own_is_copied_as_it_is(log: Written) -> None:
    log.lines.append((100.0, b"unable to retrieve container logs\n"))
    assert handed_on(log, LogPosition(), is_final=True)[1] == b"unable to retrieve container logs\n"


def test_a_clock_that_was_set_back_requests_what_just_came(log: Written) -> None:
    log.write(100.0, b"a\n")
    handed_on(log, LogPosition(requested_at=500.0))
    assert log.requested == [MARGIN_SECONDS]
