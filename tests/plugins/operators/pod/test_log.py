import pytest

from plugins.operators.pod.log import MARGIN_SECONDS, Cursor, hand_on


class Lines:
    def __init__(self) -> None:
        self.data = b""
        self.is_flushed = False

    def take(self, data: bytes) -> None:
        self.data += data

    def flush(self) -> None:
        self.is_flushed = True


class Written:
    """A log to which a step writes, asked for in pieces of time."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, bytes]] = []
        self.asked: list[int | None] = []
        self.now = 100.0

    def write(self, at: float, text: bytes) -> None:
        stamp = f"2026-01-01T00:{int(at) // 60:02d}:{at % 60:012.9f}Z ".encode()
        self.lines.append((at, stamp + text))

    def log(self, name: str, since_seconds: int | None) -> bytes:
        assert name == "pod"
        self.asked.append(since_seconds)
        return b"".join(line for at, line in self.lines if since_seconds is None or at >= self.now - since_seconds)


@pytest.fixture
def log() -> Written:
    return Written()


def handed_on(log: Written, cursor: Cursor, *, is_final: bool = False) -> tuple[Cursor, bytes]:
    lines = Lines()
    cursor = hand_on(log, "pod", cursor, lines, now=log.now, is_final=is_final)
    assert lines.is_flushed == is_final
    return cursor, lines.data


def test_each_line_comes_once_however_often_is_asked(log: Written) -> None:
    cursor, got = Cursor(), b""
    for number in range(50):
        log.write(100.0 + number / 7, f"line {number}\n".encode())
        if number % 3 == 0:
            log.now = 100.0 + number / 7
            cursor, data = handed_on(log, cursor)
            got += data
    cursor, data = handed_on(log, cursor, is_final=True)
    assert got + data == b"".join(f"line {number}\n".encode() for number in range(50))
    assert handed_on(log, cursor, is_final=True)[1] == b""


def test_equal_texts_of_different_moments_are_different_lines(log: Written) -> None:
    log.write(100.0, b"again\n")
    cursor, _ = handed_on(log, Cursor())
    log.write(100.1, b"again\n")
    assert handed_on(log, cursor)[1] == b"again\n"


def test_lines_of_two_streams_may_be_out_of_order(log: Written) -> None:
    log.write(100.2, b"out\n")
    cursor, _ = handed_on(log, Cursor())
    log.write(100.1, b"err\n")
    assert handed_on(log, cursor)[1] == b"err\n"


def test_a_line_without_its_end_waits_for_it(log: Written) -> None:
    log.write(100.0, b"whole\n")
    log.write(100.5, b"half")
    cursor, data = handed_on(log, Cursor())
    assert data == b"whole\n"
    assert handed_on(log, cursor, is_final=True)[1] == b"half\n"


def test_only_what_is_new_is_asked_for_with_a_margin(log: Written) -> None:
    cursor, _ = handed_on(log, Cursor())
    log.now = 130.5
    handed_on(log, cursor)
    assert log.asked == [None, 31 + MARGIN_SECONDS]


def test_a_last_line_that_is_too_old_to_be_there_hides_nothing(log: Written) -> None:
    log.write(100.0, b"old\n")
    cursor, _ = handed_on(log, Cursor())
    log.lines.clear()  # the file was rotated
    log.write(101.0, b"new\n")
    assert handed_on(log, cursor)[1] == b"new\n"


def test_a_line_of_the_kubelets_own_is_handed_on_as_it_is(log: Written) -> None:
    log.lines.append((100.0, b"unable to retrieve container logs\n"))
    assert handed_on(log, Cursor(), is_final=True)[1] == b"unable to retrieve container logs\n"


def test_a_clock_that_was_set_back_asks_for_what_just_came(log: Written) -> None:
    log.write(100.0, b"a\n")
    handed_on(log, Cursor(asked_at=500.0))
    assert log.asked == [MARGIN_SECONDS]
