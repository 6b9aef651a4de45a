import json
import subprocess
import sys
from pathlib import Path

from include.runtime.forking.warmup import LIBRARIES
from tests.support.step_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[4]


def run(root: Path, code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_everything_that_is_named_can_be_imported_without_a_python_thread_or_a_blas_pool() -> None:
    code = (
        "import json, threading, include.runtime.forking.warmup as warmup; failures = warmup.warm_up(); "
        "print(json.dumps([failures, threading.active_count(), warmup.thread_count()]))"
    )
    found = run(ROOT, code)
    assert isinstance(found, list)
    assert found[:2] == [[], 1]
    assert found[2] <= 4  # the allocators of pyarrow and deltalake have one each; a BLAS pool would show here
    assert len(set(LIBRARIES)) == len(LIBRARIES)


def test_a_step_that_cannot_be_imported_is_told_and_costs_no_other(tmp_path: Path) -> None:
    root = make_bundle(tmp_path).root
    (root / "include" / "steps" / "train" / "step.py").write_text("import no_such_library\n")
    code = (
        "import json, sys, include.runtime.forking.warmup as warmup; warmup.LIBRARIES = (); "
        "print(json.dumps([warmup.warm_up(), 'include.steps.ingest.step' in sys.modules]))"
    )
    failure = "include.steps.train.step: ModuleNotFoundError: No module named 'no_such_library'"
    assert run(root, code) == [[failure], True]


def test_a_file_that_was_imported_and_changed_is_named(tmp_path: Path) -> None:
    root = make_bundle(tmp_path).root
    code = (
        "import json, include.runtime.forking.warmup as warmup; code = warmup.ImportedCode(); before = code.changed()\n"
        "import include.steps.ingest.step; warmup.ROOT.joinpath('steps/ingest/step.py').write_text('changed')\n"
        "warmup.ROOT.joinpath('steps/train/step.py').write_text('changed, but not imported')\n"
        "print(json.dumps([before, code.changed()]))"
    )
    assert run(root, code) == [[], ["include/steps/ingest/step.py"]]
