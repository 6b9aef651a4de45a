from pathlib import Path

import pytest

from include.contract import settings
from include.runtime.termination_message import BYTES_AT_MOST, write_termination_message


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(settings.ERROR_PATH, str(tmp_path / "words"))
    return tmp_path / "words"


@pytest.mark.parametrize(
    ("message", "left"),
    [("Bad rows.\nMore.", "Bad rows."), ("", ""), ("ä" * BYTES_AT_MOST, "ä" * (BYTES_AT_MOST // 2))],
)
def test_one_line_is_left_that_fits(path: Path, message: str, left: str) -> None:
    write_termination_message(message)
    assert path.read_text() == left


def test_a_character_is_not_cut_in_half(path: Path) -> None:
    write_termination_message("x" + "ä" * BYTES_AT_MOST)
    assert path.read_text() == "x" + "ä" * ((BYTES_AT_MOST - 1) // 2)
    assert path.stat().st_size <= BYTES_AT_MOST


def test_nothing_is_left_where_nobody_asks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.ERROR_PATH)
    write_termination_message("Bad rows.")
    assert not path.exists()


def test_a_place_that_cannot_be_written_to_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ERROR_PATH, "/nonexistent/words")
    write_termination_message("Bad rows.")
