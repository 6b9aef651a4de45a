import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from include.contract.digest import digest_of
from include.errors import DataRejectedError, MissingObjectError
from include.packaging.files import (
    BUNDLE_FILES,
    GOLDEN,
    MANIFEST,
    MODEL,
    Bundle,
    dump_model,
    largest_difference,
    load_model,
    read_bundle,
    seal_bundle,
    write_bundle,
)
from tests.support.serving_bundles import bundle, pipeline, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(bundle(), tmp_path)
    return tmp_path


def test_bundle_that_was_written_is_read_back(folder: Path) -> None:
    result = read_bundle(folder, bundle().digest)
    assert result == bundle()
    assert result.digest == "sha256:" + hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == sorted([MANIFEST, *BUNDLE_FILES])


def test_digest_names_the_files_and_their_description() -> None:
    good = bundle()
    description = good.manifest.model_dump(exclude={"files"})
    assert seal_bundle(description, good.contents).digest == good.digest
    assert seal_bundle({**description, "run_id": "other"}, good.contents).digest != good.digest
    assert seal_bundle(description, {**good.contents, GOLDEN: b"{}"}).digest != good.digest


def test_loaded_model_predicts_as_before(folder: Path) -> None:
    loaded = read_bundle(folder).load()
    assert np.array_equal(loaded.predict_proba(rows(20)), pipeline().predict_proba(rows(20)))


@pytest.mark.parametrize("name", [MANIFEST, *BUNDLE_FILES])
def test_file_that_is_gone_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataRejectedError, match=f"{name} of the bundle cannot be read"):
        read_bundle(folder)


@pytest.mark.parametrize("name", BUNDLE_FILES)
@pytest.mark.parametrize("change", [lambda data: data + b" ", lambda data: data[:-1], lambda _data: b""])
def test_file_that_was_changed_is_named_and_not_opened(
    folder: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataRejectedError, match=f"{name} of bundle sha256:.* was not opened"):
        read_bundle(folder)


def test_manifest_that_was_changed_has_another_digest(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"predict_proba"', b'"predict"'))
    with pytest.raises(DataRejectedError, match="but the bundle should be"):
        read_bundle(folder, bundle().digest)


def test_object_that_is_missing_keeps_its_own_error() -> None:
    def read(name: str) -> bytes:
        raise MissingObjectError(f"There is no object '{name}'.")

    with pytest.raises(MissingObjectError, match=r"There is no object 'manifest.json'"):
        read_bundle(read)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 2}', b"x" * (2 << 20)])
def test_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(DataRejectedError, match=r"no manifest|a manifest is not"):
        read_bundle(folder)


def test_manifest_cannot_name_other_files(folder: Path) -> None:
    path = folder / MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["files"]["../../etc/passwd"] = {"sha256": "0" * 64, "size_bytes": 1}
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataRejectedError, match=r"must name MLmodel, golden.json, model.skops"):
        read_bundle(folder, digest_of(path.read_bytes()))


class Trap:
    """Touches a file when it is unpickled."""

    sprung: Path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.sprung,))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_in_the_place_of_the_model_is_named_and_never_opened(tmp_path: Path, protocol: int) -> None:
    Trap.sprung = tmp_path / "sprung"
    content = pickle.dumps(Trap(), protocol=protocol)
    with pytest.raises(DataRejectedError, match=r"model\.skops is a pickle, and a pickle runs whatever it holds"):
        load_model(content, MODEL)
    good = bundle()
    sealed = seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, MODEL: content})
    with pytest.raises(DataRejectedError, match="is a pickle"):
        sealed.load()
    write_bundle(good, tmp_path)
    (tmp_path / MODEL).write_bytes(content)
    with pytest.raises(DataRejectedError, match=r"\(it is a pickle\)"):
        read_bundle(tmp_path)
    assert not Trap.sprung.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", b"PK\x03\x04" + b"\x00" * 100])
def test_what_is_no_skops_file_is_refused(content: bytes) -> None:
    with pytest.raises(DataRejectedError, match=r"model\.skops (is no skops file|cannot be read)"):
        load_model(content, MODEL)


def test_skops_file_that_is_torn_is_refused() -> None:
    content = dump_model(pipeline())
    with pytest.raises(DataRejectedError, match=r"model\.skops cannot be read"):
        load_model(content[: len(content) // 2], MODEL)


def test_type_that_is_not_on_our_list_is_refused_by_name() -> None:
    content = dump_model(pipeline())
    crafted = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(crafted, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "schema.json":
                data = data.replace(b'"__class__": "Pipeline"', b'"__class__": "system"')
                data = data.replace(b'"__module__": "sklearn.pipeline"', b'"__module__": "posix"')
            new.writestr(name, data)
    with pytest.raises(DataRejectedError, match=r"types that are not trusted: posix\.system"):
        load_model(crafted.getvalue(), MODEL)


def test_model_that_could_not_be_loaded_is_not_written() -> None:
    from fractions import Fraction

    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(DataRejectedError, match=r"FunctionTransformer holds types .*Fraction.*TRUSTED_TYPES"):
        dump_model(FunctionTransformer(func=Fraction))


def test_golden_rows_that_are_none_are_refused() -> None:
    good = bundle()
    sealed = seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, GOLDEN: b"{}"})
    with pytest.raises(DataRejectedError, match=r"golden\.json of bundle"):
        sealed.golden()


def test_bundle_holds_its_golden_rows() -> None:
    result: Bundle = bundle()
    assert len(result.golden().rows.data) == len(result.golden().predictions) == 12


@pytest.mark.parametrize(
    ("expected", "result", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([[0.25, 0.75]], [[0.5, 0.75]], 0.25),
        ([float("nan")], [float("nan")], 0.0),
        ([float("nan")], [1.0], float("inf")),
        ([1.0], [1.0, 2.0], float("inf")),
        (["a"], ["a"], 0.0),
        (["a"], ["b"], float("inf")),
        ([1, 0], [1, 1], 1.0),
    ],
)
def test_difference_of_predictions(expected: list[object], result: list[object], difference: float) -> None:
    assert largest_difference(expected, result) == difference
