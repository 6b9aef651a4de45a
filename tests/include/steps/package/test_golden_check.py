import subprocess

import numpy as np
import pytest

from include.contract.results import GoldenProof
from include.errors import DataRejectedError, TemporaryError
from include.packaging.files import GOLDEN, Golden, seal_bundle
from include.steps.package.golden_check import prove
from tests.support.serving_bundles import bundle


def test_bundle_proves_itself_in_a_process_of_its_own() -> None:
    assert prove(bundle()) == GoldenProof(golden_rows=12, direct=True)


def test_predictions_that_moved_by_little_are_found() -> None:
    good = bundle()
    golden = good.golden()
    moved = (np.array(golden.predictions) + 2e-9).tolist()
    content = Golden(rows=golden.rows, predictions=moved).content()
    sealed = seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, GOLDEN: content})
    with pytest.raises(DataRejectedError, match="differently than it did in training: by 2"):
        prove(sealed)


def test_process_that_does_not_end_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.steps.package.golden_check._TIMEOUT_SECONDS", 0.01)
    with pytest.raises(TemporaryError, match="did not end within"):
        prove(bundle())


def test_process_that_breaks_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = subprocess.CompletedProcess([], -9, b"", b"Traceback: out of memory")
    monkeypatch.setattr("subprocess.run", lambda *_words, **_options: broken)
    with pytest.raises(TemporaryError, match="ended with code -9: Traceback: out of memory"):
        prove(bundle())
