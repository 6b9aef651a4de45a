"""What all tests share: a home for Airflow that is nobody's, and tools that a machine may lack."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Airflow reads its settings when it is first imported, so they must stand before any test module is.
_AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-of-tests-"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["AIRFLOW_HOME"] = str(_AIRFLOW_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@dataclass(frozen=True)
class Tool:
    """Something that no package of Python brings."""

    programs: tuple[str, ...]
    provided_by: str
    variables: tuple[str, ...] = ()
    """Must be set, too; ``NAME=beginning`` where the value must begin so."""
    folders: str = ""
    """Pattern, from the root, of folders in which it may lie beside those on PATH."""

    def is_here(self) -> bool:
        """Whether one of its programs is found, and its variables are set."""
        folders = map(str, Path("/").glob(self.folders)) if self.folders else ()
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
        found = any(shutil.which(program, path=path) for program in self.programs)
        return found and all(map(_is_set, self.variables))


def _is_set(variable: str) -> bool:
    name, _, beginning = variable.partition("=")
    value = os.environ.get(name, "")
    return bool(value) and value.startswith(beginning)


TOOLS = {
    "browser": Tool(("chromium", "chromium-browser", "google-chrome"), "apt-get install chromium"),
    "cluster": Tool(
        ("kubectl",),
        "put kubectl on PATH, and describe a cluster by KUBECONFIG and CLUSTER_... as in docs/how-to/cluster.md",
        ("KUBECONFIG", "CLUSTER_REGISTRY", "CLUSTER_S3_ENDPOINT"),
    ),
    "kubeconform": Tool(("kubeconform",), "go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"),
    "postgresql": Tool(("postgres", "pg_ctl"), "apt-get install postgresql", folders="usr/lib/postgresql/*/bin"),
    "restart": Tool(
        ("kubectl",),
        "set CLUSTER_RESTART to a command that starts anew what its last word names: containerd or kube-apiserver",
        ("CLUSTER_RESTART",),
    ),
    "s3-outage": Tool(
        ("kubectl",),
        "set CLUSTER_HOST_ADDRESS, and CLUSTER_S3_ENDPOINT to an S3 without TLS (http://...): tests stand in its way",
        ("CLUSTER_HOST_ADDRESS", "CLUSTER_S3_ENDPOINT=http://"),
    ),
    "statsd-exporter": Tool(
        ("statsd_exporter",), "go install github.com/prometheus/statsd_exporter@v0.31.0, and put it on PATH"
    ),
    "whole-year": Tool(
        ("kubectl",),
        "set CLUSTER_WHOLE_YEAR=1: the year job on the cluster takes a quarter of an hour on two cores",
        ("CLUSTER_WHOLE_YEAR",),
    ),
}

ON_A_CLUSTER = ("tests/cluster/", "tests/helm_values/")
LONG = ("tests/local_platform/test_cli.py", "tests/dags/*.py", "tests/include/steps/train/*.py")
"""Files that take a minute or more."""

_not_run: dict[str, int] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(tool): needs one of {', '.join(TOOLS)}; not run where it is not found")
    required = [name for name in os.environ.get("REQUIRE", "").split(",") if name]
    unknown = [name for name in required if name not in TOOLS]
    if unknown:
        message = f"REQUIRE names {', '.join(unknown)}; known are {', '.join(TOOLS)}."
        raise pytest.UsageError(message)
    missing = [name for name in required if not TOOLS[name].is_here()]
    if missing:
        ways = "; ".join(f"{name}: {TOOLS[name].provided_by}" for name in missing)
        message = f"REQUIRE asks for what this machine does not have. To get it: {ways}."
        raise pytest.UsageError(message)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _long_first(items)
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        missing = [name for name in _needs(item) if not TOOLS[name].is_here()]
        (left_out if missing else chosen).append(item)
        for name in missing:
            _not_run[name] = _not_run.get(name, 0) + 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


def _long_first(items: list[pytest.Item]) -> None:
    """Put first what takes longest, so that no worker ends with it alone; else the order stays."""
    items.sort(key=lambda item: not any(item.path.match(pattern) for pattern in LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run all tests of a file, which share servers, and all on a cluster, which share a platform."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return ByFile(config, log)


def scope_of(nodeid: str) -> str:
    """The name that all tests of one worker share: ``tests/include/test_errors.py``, or ``cluster``."""
    file = nodeid.split("::", 1)[0]
    return "cluster" if file.startswith(ON_A_CLUSTER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker could not run; all workers collect the same tests."""
    _not_run.update(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = _not_run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(_not_run.items()):
        terminalreporter.write_line(f"not run: {count} tests need {name}; to get it: {TOOLS[name].provided_by}")


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    yield _AIRFLOW_HOME
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


def _needs(item: pytest.Item) -> list[str]:
    names = [name for marker in item.iter_markers("needs") for name in marker.args]
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        message = f"{item.nodeid} needs {', '.join(unknown)}; known are {', '.join(TOOLS)}."
        raise pytest.UsageError(message)
    return names
