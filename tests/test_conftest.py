import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TOOLS, scope_of

CONFTEST = Path(__file__).parent / "conftest.py"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of two tests, of which one needs a browser."""
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\n@pytest.mark.needs('browser')\ndef test_page(): pass\n\ndef test_plain(): pass\n"
    )
    return tmp_path


def run(
    suite: Path, *, required: str = "", tools: str = "", options: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    (suite / "bin").mkdir(exist_ok=True)
    if tools:
        (suite / "bin" / tools).symlink_to("/bin/true")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    words = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *options, str(suite)]
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


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/include/test_errors.py::test_one[a/b::c]", "tests/include/test_errors.py"),
        ("tests/local_platform/cluster/test_access.py::test_one", "tests/local_platform/cluster/test_access.py"),
        ("tests/cluster/test_release.py::test_one", "cluster"),
        ("tests/helm_values/test_cluster_base.py::test_one", "cluster"),
    ],
)
def test_tests_that_share_servers_have_one_worker(nodeid: str, scope: str) -> None:
    assert scope_of(nodeid) == scope


def test_workers_share_no_file_and_tell_what_they_could_not_run(suite: Path) -> None:
    pids = "import os, pathlib\n\n@__import__('pytest').mark.parametrize('n', range(6))\ndef test_it(n):\n"
    pids += "    with open(pathlib.Path(__file__).with_suffix('.pids'), 'a') as file: file.write(f'{os.getpid()} ')\n"
    for name in ("a", "b"):
        (suite / f"test_{name}.py").write_text(pids)
    done = run(suite, options=("--numprocesses=2", "--dist=loadscope"))
    assert "not run: 1 tests need browser" in done.stdout
    workers = [set((suite / f"test_{name}.pids").read_text().split()) for name in ("a", "b")]
    assert [len(found) for found in workers] == [1, 1]


def test_a_tool_that_nobody_knows_is_a_mistake(suite: Path) -> None:
    known = ", ".join(TOOLS)
    assert f"REQUIRE names brouser; known are {known}." in run(suite, required="brouser").stderr
    (suite / "test_two.py").write_text("import pytest\n\n@pytest.mark.needs('fax')\ndef test_page(): pass\n")
    assert f"test_page needs fax; known are {known}." in run(suite).stderr
