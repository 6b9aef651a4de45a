import json
import os
from pathlib import Path

import pytest

from include.packaging.files import write_bundle
from include.serving.model.replay import main
from tests.support.serving_bundles import bundle


def test_bundle_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(bundle(), tmp_path)
    assert main(["--bundle", str(tmp_path), "--digest", bundle().digest]) == 0
    assert json.loads(capsys.readouterr().out) == {"golden_rows": 12, "direct": True}


def test_other_digest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(bundle(), tmp_path)
    assert main(["--bundle", str(tmp_path), "--digest", "sha256:other"]) == os.EX_DATAERR
    assert "should be sha256:other" in capsys.readouterr().err
