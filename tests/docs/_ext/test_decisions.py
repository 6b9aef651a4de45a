from pathlib import Path

import pytest

from docs._ext import decisions
from docs._ext.decisions import markdown, records


def test_every_record_is_listed_with_its_title() -> None:
    assert len(records()) == markdown().count("](/adr/")
    assert "| 1 | [Commands one way, receipts the other](/adr/0001-commands-and-receipts.md) | accepted |" in markdown()


def test_numbers_follow_one_another() -> None:
    assert [int(path.name[:4]) for path in records()] == list(range(1, len(records()) + 1))


def test_a_record_without_a_status_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001-a.md").write_text("# 1. A decision\n")
    monkeypatch.setattr(decisions, "FOLDER", tmp_path)
    monkeypatch.setattr(decisions, "records", lambda: records(tmp_path))
    with pytest.raises(ValueError, match=r"0001-a\.md must begin with"):
        markdown()
