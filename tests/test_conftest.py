import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TOOLS

CONFTEST = Path(__file__).parent / "conftest.py"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of two tests, of which one needs a browser."""
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\n@pytest.mark.needs('browser')\ndef test_page(): pass\n\ndef test_plain(): pass\n"
    )
    return tmp_path


def run(suite: Path, *, required: str = "", tools: str = "") -> "subprocess.CompletedProcess[str]":
    (suite / "bin").mkdir(exist_ok=True)
    if tools:
        (suite / "bin" / tools).symlink_to("/bin/true")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    words = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(suite)]
    environment = kept | {"PATH": str(suite / "bin"), "REQUIRE": required}
    return subprocess.run(words, cwd=suite, env=environment, check=False, capture_output=True, text=True)


def test_what_a_machine_lacks_is_listed_with_the_way_to_it(suite: Path) -> None:
    done = run(suite)
    assert done.returncode == 0
    assert "not run: 1 tests need browser; to get it: apt-get install chromium" in done.stdout
    assert "1 passed, 1 deselected" in done.stdout


def test_with_the_tool_everything_runs(suite: Path) -> None:
    assert "2 passed" in run(suite, required="browser", tools="chromium").stdout


def test_what_is_required_must_be_there(suite: Path) -> None:
    done = run(suite, required="browser,cluster")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "To get it: browser: apt-get install chromium; cluster: put kubectl on PATH" in done.stderr


@pytest.mark.parametrize(("registry", "passed"), [("", "1 passed, 1 deselected"), ("somewhere", "2 passed")])
def test_a_program_without_its_variables_is_not_enough(
    suite: Path, monkeypatch: pytest.MonkeyPatch, registry: str, passed: str
) -> None:
    test = suite / "test_two.py"
    test.write_text(test.read_text().replace("browser", "cluster"))
    for name, value in {"KUBECONFIG": "a", "CLUSTER_REGISTRY": registry, "CLUSTER_S3_ENDPOINT": "b"}.items():
        monkeypatch.setenv(name, value)
    assert passed in run(suite, tools="kubectl").stdout


@pytest.mark.parametrize(
    ("endpoint", "passed"), [("https://a", "1 passed, 1 deselected"), ("http://a", "2 passed"), ("", "1 passed, 1 des")]
)
def test_a_variable_may_have_to_begin_in_one_way(
    suite: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, passed: str
) -> None:
    test = suite / "test_two.py"
    test.write_text(test.read_text().replace("browser", "s3-outage"))
    monkeypatch.setenv("CLUSTER_HOST_ADDRESS", "10.0.0.1")
    monkeypatch.setenv("CLUSTER_S3_ENDPOINT", endpoint)
    assert passed in run(suite, tools="kubectl").stdout


def test_a_program_may_lie_beside_the_path(suite: Path) -> None:
    test, conftest = suite / "test_two.py", suite / "conftest.py"
    test.write_text(test.read_text().replace("browser", "postgresql"))
    conftest.write_text(conftest.read_text().replace("usr/lib/postgresql", str(suite / "lib").lstrip("/")))
    assert "1 passed, 1 deselected" in run(suite).stdout
    (suite / "lib" / "15" / "bin").mkdir(parents=True)
    (suite / "lib" / "15" / "bin" / "postgres").symlink_to("/bin/true")
    assert "2 passed" in run(suite).stdout


def test_a_tool_that_nobody_knows_is_a_mistake(suite: Path) -> None:
    known = ", ".join(TOOLS)
    assert f"REQUIRE names brouser; known are {known}." in run(suite, required="brouser").stderr
    (suite / "test_two.py").write_text("import pytest\n\n@pytest.mark.needs('fax')\ndef test_page(): pass\n")
    assert f"test_page needs fax; known are {known}." in run(suite).stderr
