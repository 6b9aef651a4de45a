import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.contract import code_digest as module
from include.contract.code.closure import _scanned
from include.contract.code_digest import code_digest
from include.contract.step_names import StepName

ROOT = Path(__file__).resolve().parents[3]
OTHERS = [f"include/steps/{step.value}/step.py" for step in StepName if step is not StepName.INGEST]
NEW = {
    "include/projects/flights/notes.md",
    "include/projects/bikes/features.py",
    "include/steps/ingest/__pycache__/read_csv.cpython-311.pyc",
    "include/steps/ingest/new.py",
}
"""Files that the platform does not have."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the platform, with a template of the model card and one of its own for ingest."""
    shutil.copytree(ROOT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("evaluate/templates/card.html", "ingest/templates/page.html"):
        (tmp_path / "include" / "steps" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "include" / "steps" / name).write_text("<p>")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    return tmp_path


def _changed(root: Path, name: str, text: str = "\n# changed\n") -> set[StepName]:
    """The steps whose digest an addition to a file changes."""
    before = {step: code_digest(step, "flights") for step in StepName}
    path = root / name
    assert path.is_file() != (name in NEW)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    return {step for step in StepName if code_digest(step, "flights") != before[step]}


@pytest.mark.parametrize(
    "name",
    [
        "include/runtime/forking/server.py",
        "include/runtime/forking/warmup.py",
        "include/runtime/catalogue.py",
        "include/runtime/cli.py",
        "include/serving/web/app.py",
        "include/serving/model/predictor.py",
        "include/serving/processes/supervisor.py",
        "include/steps/evaluate/card.py",
        "include/steps/evaluate/templates/card.html",
        "include/governance/promotion.py",
        "include/stores/serving/kubernetes.py",
        "include/stores/registry/mlflow.py",
        "include/projects/flights/features.py",
        "include/projects/flights/model.py",
        "include/projects/flights/project.yaml",
        "include/projects/flights/notes.md",
        "include/projects/bikes/features.py",
        "include/requirements.in",
        "include/steps/ingest/__pycache__/read_csv.cpython-311.pyc",
        *OTHERS,
    ],
)
def test_what_ingest_cannot_reach_leaves_its_receipts_valid(root: Path, name: str) -> None:
    assert StepName.INGEST not in _changed(root, name)


@pytest.mark.parametrize(
    "name",
    [
        "include/steps/ingest/read_csv.py",
        "include/steps/ingest/templates/page.html",
        "include/steps/ingest/new.py",
        "include/runtime/runner.py",
        "include/errors.py",
        "include/spec/sources.py",
        "include/stores/tables/delta.py",
        "include/stores/objects/s3.py",
    ],
)
def test_what_ingest_can_reach_does_not(root: Path, name: str) -> None:
    assert StepName.INGEST in _changed(root, name)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("include/steps/ingest/read_csv.py", {StepName.INGEST}),
        ("include/steps/evaluate/templates/card.html", {StepName.EVALUATE}),
        ("include/projects/flights/features.py", {StepName.FEATURES}),
        ("include/projects/flights/model.py", {StepName.TRAIN}),
        ("include/stores/serving/kubernetes.py", {StepName.DEPLOY}),
        ("include/stores/artifacts/oci.py", {StepName.PACKAGE}),
        ("include/serving/model/replay.py", {StepName.PACKAGE}),
        ("include/runtime/runner.py", set(StepName)),
        ("include/serving/web/app.py", set()),
        ("include/runtime/forking/server.py", set()),
    ],
)
def test_a_change_reaches_exactly_the_steps_that_can_reach_it(root: Path, name: str, steps: set[StepName]) -> None:
    assert _changed(root, name) == steps


@pytest.mark.parametrize(
    ("library", "has", "has_not"),
    [
        ("skrub", {StepName.PROFILE}, {StepName.INGEST, StepName.VALIDATE, StepName.TRAIN}),
        ("kubernetes", {StepName.DEPLOY}, {StepName.INGEST, StepName.FEATURES, StepName.SCORE}),
        ("mlflow", {StepName.TRAIN, StepName.EVALUATE}, {StepName.INGEST, StepName.VALIDATE, StepName.FEATURES}),
        ("psycopg2-binary", {StepName.INGEST}, {StepName.VALIDATE, StepName.PROFILE, StepName.FEATURES}),
        ("botocore", set(StepName), set()),
    ],
)
def test_another_version_of_a_library_reaches_the_steps_that_use_it(
    root: Path, library: str, has: set[StepName], has_not: set[StepName]
) -> None:
    before = {step: code_digest(step, "flights") for step in StepName}
    lock = root / "include" / "requirements.txt"
    lock.write_text(lock.read_text().replace(f"\n{library}==", f"\n{library}==9"))
    changed = {step for step in StepName if code_digest(step, "flights") != before[step]}
    assert has <= changed
    assert not has_not & changed


def test_a_library_of_unknown_origin_makes_the_whole_lock_count(root: Path) -> None:
    (root / "include/steps/ingest/new.py").write_text("import no_such_library\n")
    assert StepName.INGEST in _changed(root, "include/requirements.txt")


def test_what_only_type_checkers_import_does_not_count(root: Path) -> None:
    text = "\nif TYPE_CHECKING:\n    from include.steps.ingest.typed import Thing\n"
    (root / "include/runtime/typed.py").write_text("")
    with (root / "include/steps/ingest/read_csv.py").open("a") as file:
        file.write(text.replace("steps.ingest", "runtime"))
    assert _changed(root, "include/runtime/typed.py") == set()


def test_a_file_that_python_refuses_is_other_code(root: Path) -> None:
    assert _changed(root, "include/steps/ingest/read_csv.py", "\ndef (:\n") == {StepName.INGEST}


def test_moving_code_from_file_to_file_is_a_change(root: Path) -> None:
    before = code_digest(StepName.INGEST, "flights")
    (root / "include/steps/ingest/rows.py").rename(root / "include/steps/ingest/lines.py")
    assert code_digest(StepName.INGEST, "flights") != before


def test_neither_the_place_nor_the_times_nor_the_order_of_files_matter(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {step: code_digest(step, "flights") for step in StepName}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    files = sorted((path for path in root.rglob("*") if path.is_file()), reverse=True)
    for number, path in enumerate(files):
        copy = elsewhere / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (number, number))
    monkeypatch.setattr(module, "_ROOT", elsewhere)
    assert {step: code_digest(step, "flights") for step in reversed(StepName)} == before


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_names_the_same_code_with_no_library_at_all(seed: str) -> None:
    program = (
        "import sys\n"
        "from include.contract.code_digest import code_digest\n"
        "from include.contract.step_names import StepName\n"
        "print(*[code_digest(step, 'flights') for step in StepName])\n"
        "print(sorted({'pydantic', 'yaml', 'include.errors', 'include.spec'} & set(sys.modules)))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed}
    # -S: no site-packages, as in a Python of the system.
    words = [sys.executable, "-S", "-c", program]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    digests, imported = done.stdout.splitlines()
    assert digests.split() == [code_digest(step, "flights") for step in StepName]
    assert imported == "[]"


def test_each_step_and_each_project_has_a_digest_of_its_own() -> None:
    digests = [code_digest(step, "flights") for step in StepName]
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)
    assert len(set(digests)) == len(StepName)
    assert code_digest(StepName.TRAIN, "flights") != code_digest(StepName.TRAIN, "bikes")


def test_a_digest_costs_little_and_less_when_the_files_are_known() -> None:
    """Cold it is part of each call of a step that is not forked: 15 ms of CPU; the limit is for slow machines."""
    _scanned.cache_clear()
    cold = time.process_time()
    code_digest(StepName.TRAIN, "flights")
    known = time.process_time()
    code_digest(StepName.TRAIN, "flights")
    assert known - cold < 0.3
    assert time.process_time() - known < known - cold
