from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contract import code_digest as module
from include.contract.code_digest import code_digest


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("steps/a.py", "stores/b.py", "serving/c.py", "projects/shop/d.py", "projects/bikes/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("pandas==3\n")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    code_digest.cache_clear()
    yield tmp_path
    code_digest.cache_clear()


def _changed(root: Path, name: str, text: str = "x = 2\n") -> bool:
    code_digest.cache_clear()
    before = code_digest("shop")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    code_digest.cache_clear()
    return before != code_digest("shop")


@pytest.mark.parametrize(
    "name", ["steps/a.py", "stores/b.py", "projects/shop/d.py", "requirements.txt", "steps/new.py"]
)
def test_what_does_the_work_is_in_the_digest(root: Path, name: str) -> None:
    assert _changed(root, name)


@pytest.mark.parametrize(
    "name", ["serving/c.py", "projects/bikes/e.py", "steps/__pycache__/a.pyc", "projects/shop/notes.md"]
)
def test_what_does_not_is_not(root: Path, name: str) -> None:
    assert not _changed(root, name)


def test_moving_code_from_file_to_file_is_a_change(root: Path) -> None:
    before = code_digest("shop")
    (root / "steps" / "a.py").rename(root / "steps" / "z.py")
    code_digest.cache_clear()
    assert code_digest("shop") != before


def test_where_the_code_lies_does_not_matter(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_digest("shop")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "include"
    root.rename(elsewhere)
    monkeypatch.setattr(module, "_ROOT", elsewhere)
    code_digest.cache_clear()
    assert code_digest("shop") == before


def test_the_digest_of_the_repository_is_one() -> None:
    code_digest.cache_clear()
    assert code_digest("flights").startswith("sha256:")
    assert code_digest("flights") == code_digest("flights")
