import io
from pathlib import Path

import pytest
import yaml

from local_platform import checks
from local_platform.console import Console
from local_platform.locations import REPOSITORY


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "include").mkdir()
    for source, lock in checks.LOCKS.items():
        (tmp_path / source).write_text("numpy==2.4.6  # numbers\n")
        (tmp_path / lock).write_text(
            "# how to make it\nnumpy==2.4.6 ; python_version < '3.15' \\\n    --hash=sha256:ab\n"
        )
    (tmp_path / "requirements-dev.in").write_text("-r requirements.in\n-r include/requirements.in\nmoto[server]\n")
    with (tmp_path / "requirements-dev.txt").open("a") as lock_file:
        lock_file.write("moto[server]==5.1 \\\n    --hash=sha256:cd\n")
    return tmp_path


def test_lock_files_that_fit_are_not_mentioned(tree: Path) -> None:
    assert list(checks.lock_files(tree)) == []


def test_the_repository_s_own_lock_files_fit() -> None:
    assert list(checks.lock_files(REPOSITORY)) == []


def test_a_name_that_was_not_locked_is_reported(tree: Path) -> None:
    (tree / "requirements.in").write_text("numpy\nPolars>=1\n")
    findings = list(checks.lock_files(tree))
    assert findings[0].startswith("requirements.txt does not hold Polars, which requirements.in names. Make it anew")
    assert findings[1].startswith("requirements-dev.txt does not hold Polars")


def test_a_version_that_is_not_required_is_reported(tree: Path) -> None:
    (tree / "include" / "requirements.in").write_text("numpy==2.5.0\n")
    assert next(iter(checks.lock_files(tree))).startswith("include/requirements.txt holds numpy 2.4.6, and include/")


def test_two_locks_that_differ_are_reported(tree: Path) -> None:
    (tree / "requirements.in").write_text("numpy\n")
    (tree / "requirements.txt").write_text("numpy==2.4.5 \\\n    --hash=sha256:ab\n")
    (findings,) = checks.lock_files(tree)
    assert findings.startswith("requirements.txt holds numpy 2.4.5, and requirements-dev.txt holds 2.4.6.")


def test_long_modules_and_functions_are_reported(tree: Path) -> None:
    body = "\n".join("    x = 1" for _ in range(checks.FUNCTION_LINES))
    (tree / "include" / "long.py").write_text(f"def f() -> None:\n{body}\n" + "y = 2\n" * checks.MODULE_LINES)
    module, function = checks.sizes(tree)
    assert module.startswith("include/long.py has 441 lines; 400 is the limit")
    assert function.startswith("include/long.py:1: f() has 41 lines without its docstring; 40 is the limit")


def test_a_folder_with_too_many_modules_is_reported(tree: Path) -> None:
    folder = tree / "include" / "crowded"
    folder.mkdir()
    for number in range(checks.FOLDER_MODULES):
        (folder / f"module_{number}.py").touch()
    (folder / "__init__.py").touch()
    assert list(checks.sizes(tree)) == []
    (folder / "one_more.py").touch()
    (line,) = checks.sizes(tree)
    assert line.startswith("include/crowded holds 16 modules; 15 is the limit")


def test_a_docstring_does_not_make_a_function_long(tree: Path) -> None:
    words = "\n".join("    word" for _ in range(checks.FUNCTION_LINES))
    (tree / "include" / "documented.py").write_text(f'def f() -> None:\n    """\n{words}\n    """\n    return\n')
    assert list(checks.sizes(tree)) == []


def test_everything_is_looked_at_also_after_a_finding(tree: Path) -> None:
    stream = io.StringIO()
    (tree / "include" / "wrong.py").write_text("import os,sys\nx: int = ''\n")
    assert checks.check(Console(stream), tree) == 1
    lines = stream.getvalue().splitlines()
    for name in ("format", "style", "types", "imports"):
        assert any(line.split() == [name, "failed"] for line in lines), lines
    assert lines[-1] == "make check: format, style, types, imports failed"


def test_parts_may_be_chosen(tree: Path) -> None:
    stream = io.StringIO()
    (tree / "include" / "wrong.py").write_text("import os,sys\n")
    assert checks.check(Console(stream), tree, ["sizes", "locks"]) == 0
    assert [line.split() for line in stream.getvalue().splitlines()[:2]] == [["sizes", "ok"], ["locks", "ok"]]


def test_a_part_that_nobody_knows_is_refused(tree: Path) -> None:
    stream = io.StringIO()
    assert checks.check(Console(stream), tree, ["typos"]) == 1
    assert "there is no part typos; known: format, style, types, imports, sizes, locks." in stream.getvalue()


def test_hooks_before_a_commit_are_the_parts_of_the_check() -> None:
    (local,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    hooks = {hook["id"]: hook["entry"] for hook in local["hooks"]}
    assert hooks == {part: f"make check CHECKS={part}" for part in checks.parts_of(REPOSITORY)}
