from pathlib import Path

import pytest

from include.contract import settings
from include.contract.layout import bundle_prefix
from include.errors import DataRejectedError
from include.packaging.files import MANIFEST, read_bundle
from include.serving.model.fetch import main
from include.stores.objects.open import open_objects
from tests.support.serving_bundles import bundle


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of objects that holds a sealed bundle, as this process's environment names it."""
    uri = (tmp_path / "objects").as_uri()
    monkeypatch.setenv(settings.OBJECTS_URI, uri)
    objects, prefix = open_objects(uri), bundle_prefix("flights", bundle().digest)
    for name, content in {**bundle().contents, MANIFEST: bundle().manifest.content()}.items():
        objects.create(prefix + name, content)
    return tmp_path / "objects" / prefix


def fetch(folder: Path, digest: str) -> int:
    return main(["--project", "flights", "--digest", digest, "--to", str(folder)])


def test_bundle_is_written_as_it_was_sealed(sealed: Path, tmp_path: Path) -> None:
    assert fetch(tmp_path / "model", bundle().digest) == 0
    assert read_bundle(tmp_path / "model", bundle().digest).digest == bundle().digest


def test_file_that_was_changed_is_not_written(sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sealed / "golden.json").write_bytes(b"{}")
    assert fetch(tmp_path / "model", bundle().digest) == DataRejectedError.exit_code
    assert "golden.json of bundle" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_bundle_that_is_not_there_ends_with_the_datas_code(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(tmp_path / "model", "sha256:" + "0" * 64) == DataRejectedError.exit_code
    assert "There is no object" in capsys.readouterr().err
