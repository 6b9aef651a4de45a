import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_platform import coverage_floor

CONFIGURATION = """
[tool.coverage.run]
parallel = true
patch = ["subprocess"]
source = ["include"]
data_file = ".state/coverage/data"
[tool.coverage.report]
fail_under = {floor}
"""
CODE = """
def first():
    return 1
def second():
    return 2
def third():
    return 3
"""
TESTS = """
import subprocess, sys
from include import code
def test_first(): assert code.first() == 1
def test_second():
    subprocess.run([sys.executable, "-c", "from include import code; assert code.second() == 2"], check=True)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("include", "plugins"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "include" / "code.py").write_text(CODE)
    (tmp_path / "test_code.py").write_text(TESTS)
    return tmp_path


def call(tree: Path, test: str) -> None:
    options = coverage_floor.options({coverage_floor.VARIABLE: "1"}, tree)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, f"test_code.py::{test}"]
    subprocess.run(words, cwd=tree, env=kept, check=True, capture_output=True)


def test_nothing_is_measured_unless_the_variable_is_set(tree: Path) -> None:
    assert coverage_floor.options({}, tree) == []
    assert coverage_floor.options({coverage_floor.VARIABLE: "0"}, tree) == []


@pytest.mark.parametrize(("floor", "code"), [(70, 0), (90, 2)])
def test_calls_and_their_processes_add_up_and_the_floor_is_for_all(tree: Path, floor: int, code: int) -> None:
    (tree / "pyproject.toml").write_text(CONFIGURATION.format(floor=floor))
    call(tree, "test_first")
    call(tree, "test_second")
    assert coverage_floor.report(tree) == code


def test_without_data_the_report_fails(tree: Path) -> None:
    (tree / "pyproject.toml").write_text(CONFIGURATION.format(floor=0))
    assert coverage_floor.report(tree) == 1
