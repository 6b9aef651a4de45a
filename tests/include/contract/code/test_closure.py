from pathlib import Path

import pytest

from include.contract.code.closure import Closure, function_module
from include.contract.code.locked_libraries import read_lock
from include.contract.step_names import FUNCTIONS, STORES, StepName
from include.spec.load import load_project, project_names

ROOT = Path(__file__).resolve().parents[4]
RUNNER, STEP = "include/runtime/runner.py", "include/steps/ingest/step.py"


PLATFORM = {
    "include/__init__.py": "",
    "include/errors.py": "",
    RUNNER: "from include.stores.installation import Stores\n",
    "include/runtime/__init__.py": "",
    "include/runtime/forking/server.py": "import include.runtime.runner\n",
    "include/stores/__init__.py": "",
    "include/stores/installation.py": (
        "from include.errors import ConfigurationError\n\n\nclass Stores:\n"
        "    @cached_property\n    def objects(self):\n        from include.stores.objects import directory\n\n"
        "    @cached_property\n    def registry(self):\n        from include.stores.registry import mlflow\n\n"
        "    def setting(self, name):\n        from include.stores.reading import setting\n"
    ),
    "include/stores/reading.py": "",
    "include/stores/objects/__init__.py": "",
    "include/stores/objects/directory.py": "def open_it():\n    from include.stores.objects.s3 import S3\n",
    "include/stores/objects/s3.py": "import boto3.session\n",
    "include/stores/registry/__init__.py": "",
    "include/stores/registry/mlflow.py": "import mlflow\n",
    "include/steps/__init__.py": "",
    "include/steps/ingest/__init__.py": "",
    STEP: "from include.steps.ingest import a\n",
    "include/steps/ingest/a.py": "import include.steps.ingest.step\nfrom include.steps.ingest.b import c\n",
    "include/steps/ingest/b.py": "from include.steps.ingest.a import d\nimport os.path, pandas as pd\n",
    "include/steps/ingest/templates/report.html": "<p>",
    "include/steps/features/__init__.py": "",
    "include/steps/features/step.py": "import pandas\n",
    "include/projects/__init__.py": "",
    "include/projects/shop/__init__.py": "",
    "include/projects/shop/project.yaml": "feature_set:\n  function: features:build\nmodel:\n  seed: 7\n",
    "include/projects/shop/features.py": "from .calendar import days\n",
    "include/projects/shop/calendar.py": "from . import holidays\n",
    "include/projects/shop/holidays.py": "import numpy\n",
    "include/projects/shop/model.py": "import sklearn\n",
    "include/projects/bikes/features.py": "",
    "include/requirements.txt": "pandas==3\n",
}
"""A small platform: one step, what runs it, two projects; content of files by path."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The small platform, in a folder."""
    for name, text in PLATFORM.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def files(root: Path, step: StepName = StepName.INGEST) -> set[str]:
    return set(Closure(root, step, "shop").files)


def test_a_step_reaches_what_it_and_its_runner_import_with_the_packages_on_the_way(root: Path) -> None:
    assert files(root) == {
        "include/__init__.py",
        "include/errors.py",
        RUNNER,
        "include/runtime/__init__.py",
        "include/steps/__init__.py",
        "include/steps/ingest/__init__.py",
        STEP,
        "include/steps/ingest/a.py",
        "include/steps/ingest/b.py",
        "include/steps/ingest/templates/report.html",
        "include/stores/__init__.py",
        "include/stores/installation.py",
        "include/stores/reading.py",
        "include/stores/objects/__init__.py",
        "include/stores/objects/directory.py",
        "include/stores/objects/s3.py",
    }


def test_libraries_are_named_by_their_top_level_modules(root: Path) -> None:
    assert Closure(root, StepName.INGEST, "shop").libraries == {"boto3", "os", "pandas"}


def test_a_step_reaches_the_stores_that_it_may_open(root: Path) -> None:
    (root / "include/steps/train").mkdir()
    found = files(root, StepName.TRAIN)
    assert {"include/stores/objects/s3.py", "include/stores/registry/mlflow.py"} <= found


def test_a_step_reaches_the_module_of_the_projects_function_and_what_that_imports(root: Path) -> None:
    found = {name for name in files(root, StepName.FEATURES) if name.startswith("include/projects")}
    names = ("__init__", "shop/__init__", "shop/features", "shop/calendar", "shop/holidays")
    assert found == {f"include/projects/{name}.py" for name in names}


def test_a_step_reaches_all_of_the_project_where_the_functions_module_is_not_clear(root: Path) -> None:
    (root / "include/projects/shop/project.yaml").write_text("feature_set: {function: 'features:build'}\n")
    assert "include/projects/shop/model.py" in files(root, StepName.FEATURES)
    (root / "include/projects/shop/project.yaml").write_text("feature_set:\n  function: gone:build\n")
    assert "include/projects/shop/model.py" in files(root, StepName.FEATURES)


def test_what_lies_beside_modules_counts_and_caches_and_hidden_files_do_not(root: Path) -> None:
    before = files(root)
    more = {"stores/objects/page.css", "steps/ingest/templates/deep/more.html", "steps/ingest/no_package/some.py"}
    for name in more:
        (root / "include" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "include" / name).write_text("")
    for name in (
        "stores/objects/__pycache__/s3.pyc",
        "steps/ingest/.step.py.swp",
        "steps/ingest/.old/step.py",
        "steps/features/page.css",
        "note.md",
    ):
        (root / "include" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "include" / name).write_text("")
    assert files(root) - before == {f"include/{name}" for name in more}


def test_modules_that_import_each_other_end(root: Path) -> None:
    (root / "include/errors.py").write_text("import include.runtime.runner\nimport include.errors\n")
    assert {"include/steps/ingest/a.py", "include/steps/ingest/b.py", "include/errors.py"} <= files(root)


def test_a_file_that_python_would_refuse_counts_with_its_bytes(root: Path) -> None:
    before = Closure(root, StepName.INGEST, "shop").files[STEP]
    (root / STEP).write_text("from include.steps.ingest import a\ndef (:\n")
    assert Closure(root, StepName.INGEST, "shop").files[STEP] != before


def test_a_project_without_code_has_none(root: Path) -> None:
    found = {name for name in Closure(root, StepName.FEATURES, "unknown").files if "projects" in name}
    assert found == {"include/projects/__init__.py"}


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("feature_set:\n  name: a\n  function: features:build  # why\nmodel:\n  function: model:build\n", "features"),
        (
            "model:\n  function: model:build\n\nfeature_set: # what\n\n# more\n    function: 'features:build'",
            "features",
        ),
        ('feature_set:\n  # c\n\n  function: "features:build"\n  joins:\n    - function: other:build\n', "features"),
        ("feature_set:\n  about: {function: other:build}\n  more:\n    function: other:build\n", None),
        ("feature_set: {function: features:build}\n", None),
        ("feature_set:\n  function:\n    features:build\n", None),
        ("feature_set:\n  function: a:b\n  function: c:d\n", None),
        ("feature_set:\n  function: a:b\nfeature_set:\n  function: c:d\n", None),
        ("about: |\n  feature_set:\n    function: a:b\n", None),
        ("feature_set:\n", None),
        ("", None),
    ],
)
def test_the_functions_module_is_read_where_it_stands_in_its_own_line(
    tmp_path: Path, text: str, module: str | None
) -> None:
    (tmp_path / "project.yaml").write_text(text)
    assert function_module(tmp_path / "project.yaml", "feature_set") == module


@pytest.mark.parametrize("project", project_names())
@pytest.mark.parametrize("step", FUNCTIONS)
def test_the_functions_module_is_that_of_the_spec(project: str, step: StepName) -> None:
    section = FUNCTIONS[step]
    value: str = getattr(load_project(project), section).function
    assert function_module(ROOT / "include/projects" / project / "project.yaml", section) == value.partition(":")[0]


def test_the_steps_that_call_a_projects_function_are_those_that_can() -> None:
    reach = {step for step in StepName if "include/modeling/project_function.py" in _reached(step)}
    assert reach == set(FUNCTIONS)


@pytest.mark.parametrize("step", StepName)
def test_no_step_reaches_another_the_fork_server_or_the_command_line(step: StepName) -> None:
    found = _reached(step)
    others = tuple(f"include/steps/{other.value}/" for other in StepName if other is not step)
    assert not {
        name for name in found if name.startswith((*others, "include/runtime/forking/", "include/serving/web/"))
    }
    assert not found & {"include/runtime/cli.py", "include/runtime/catalogue.py", "include/governance/__main__.py"}
    assert len(found) > 40


@pytest.mark.parametrize("step", StepName)
def test_the_lock_names_every_library_that_a_step_imports(step: StepName) -> None:
    lock = read_lock(ROOT / "include" / "requirements.txt")
    assert lock.pins(Closure(ROOT, step, "flights").libraries) != [lock.text]


@pytest.mark.parametrize(
    ("store", "file", "library"),
    [
        ("registry", "include/stores/registry/mlflow.py", "mlflow"),
        ("serving", "include/stores/serving/kubernetes.py", "kubernetes"),
        ("artifacts", "include/stores/artifacts/oci.py", None),
    ],
)
def test_only_steps_that_may_open_a_store_reach_its_backends(store: str, file: str, library: str | None) -> None:
    for step in StepName:
        reached = Closure(ROOT, step, "flights")
        assert (file in reached.files) == (store in STORES[step]), step
        assert library is None or (library in reached.libraries) == (store in STORES[step]), step


def _reached(step: StepName) -> set[str]:
    return set(Closure(ROOT, step, "flights").files)
