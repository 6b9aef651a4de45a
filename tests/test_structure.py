"""Tests mirror the source, path for path."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dags", "docs", "include", "local_platform", "plugins")
ELSEWHERE = {
    "docs/conf.py": "tests/docs/test_site.py",
    "docs/tutorial/example/features.py": "tests/docs/tutorial/test_example.py",
    "docs/tutorial/example/make_rows.py": "tests/docs/tutorial/test_example.py",
    "docs/tutorial/example/model.py": "tests/docs/tutorial/test_example.py",
    "include/stores/artifacts/memory.py": "tests/include/stores/artifacts/test_protocol.py",
    "include/stores/registry/memory.py": "tests/include/stores/registry/test_open.py",
    "include/stores/registry/mlflow.py": "tests/include/stores/registry/test_open.py",
    "include/steps/__main__.py": "tests/include/runtime/test_cli.py",
    "include/stores/artifacts/open.py": "tests/include/stores/artifacts/test_protocol.py",
    "include/stores/metrics/protocol.py": "tests/include/stores/metrics/test_memory.py",
    "include/stores/objects/keys.py": "tests/include/stores/objects/test_protocol.py",
    "include/stores/tables/open.py": "tests/include/stores/tables/test_delta.py",
    "include/stores/objects/open.py": "tests/include/stores/objects/test_directory.py",
    "include/stores/registry/protocol.py": "tests/include/stores/registry/test_open.py",
    "include/stores/registry/run_files.py": "tests/include/steps/train/test_logged_run.py",
    "include/stores/serving/open.py": "tests/include/stores/serving/test_local.py",
    "include/stores/serving/protocol.py": "tests/include/stores/serving/test_memory.py",
    "local_platform/__main__.py": "tests/local_platform/test_bootstrap.py",
    "local_platform/cluster/errors.py": "tests/local_platform/cluster/test_settings.py",
    "local_platform/errors.py": "tests/local_platform/test_cli.py",
    "local_platform/demo/job.py": "tests/local_platform/demo/test_year_job.py",
}
"""Modules that are tested with another: the stores of one Protocol by the same tests, entry points by what they do."""


def modules(package: str) -> list[Path]:
    paths = (path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in paths if path.name != "__init__.py")


def file_of(module: Path) -> Path:
    return Path(ELSEWHERE.get(str(module), Path("tests") / module.parent / f"test_{module.stem}.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_module_has_its_test(package: str) -> None:
    assert [str(module) for module in modules(package) if not (ROOT / file_of(module)).is_file()] == []


def test_no_test_shadows_the_packages_under_test() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_exception_is_left_over() -> None:
    known = {str(module) for package in PACKAGES for module in modules(package)}
    assert ELSEWHERE.keys() <= known
