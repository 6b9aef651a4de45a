"""
The files of a servable model: a bundle, how it is written, and how it is read without trusting it.

A bundle is a folder with ``manifest.json`` (canonical JSON), ``model.skops``, ``golden.json`` and MLflow's ``MLmodel``.
Its digest is that of the manifest's bytes, and the manifest holds the digest of every other file: one digest names all.
Each file is read into memory once, its digest is compared, and only those bytes are parsed. A model is loaded with the
list of types below: it lies in this code, and a file's own list is never trusted.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from include.contract.digest import digest_of
from include.contract.document import Document
from include.contract.model_files import FileDigest, InputColumn
from include.contract.receipt import canonical_json
from include.errors import DataRejectedError, foreign, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Read and listed by hand: none of them runs code when it is set up from a file (ADR 8).
TRUSTED_TYPES: tuple[str, ...] = (
    "functools.partial",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""Types beyond the ones that skops trusts by itself; a function behind ``functools.partial`` is checked on its own."""

MANIFEST = "manifest.json"
MODEL = "model.skops"
GOLDEN = "golden.json"
MLMODEL = "MLmodel"
BUNDLE_FILES = (MODEL, GOLDEN, MLMODEL)
# Sums in another order differ in the last bits; another model differs by far more.
PARITY_TOLERANCE = 1e-9
"""Largest absolute difference between a golden row's stored prediction and the one made again."""

_ZIP_MAGIC = b"PK\x03\x04"
# Every pickle since protocol 2 begins with this byte.
_PICKLE_PROTOCOL = 0x80
# The manifest alone may be parsed without a digest to compare it with, so its size is bounded.
_MANIFEST_LIMIT_BYTES = 1 << 20

ReadFile = Callable[[str], bytes]
"""The bytes of one file of a bundle, by its name; raises ``FileNotFoundError`` or a ``PlatformError``."""


class Manifest(Document):
    """What a bundle holds."""

    format: Literal[1] = 1
    project: str
    model: str
    """Name of the registered model."""
    run_id: str
    """The MLflow run that trained it."""
    predict: Literal["predict", "predict_proba"]
    """The method of the model that a request calls."""
    positive_class: bool | int | float | str | None = None
    """The class whose probability is meant by 'the' probability; null for a regression."""
    inputs: Annotated[tuple[InputColumn, ...], Field(min_length=1)]
    outputs: tuple[dict[str, JsonValue], ...] = ()
    """As MLflow writes them into the signature."""
    files: dict[str, FileDigest]

    def content(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return canonical_json(self.model_dump(mode="json"))


class GoldenTable(Document):
    """Rows as ``dataframe_split`` writes them."""

    columns: list[str]
    data: list[list[JsonValue]]


class Golden(Document):
    """Rows of real data and what the model predicted for them when it was trained."""

    rows: GoldenTable
    predictions: list[JsonValue]
    """One entry per row: a number or label, or for ``predict_proba`` one number per class."""

    def content(self) -> bytes:
        """The bytes of ``golden.json``."""
        return canonical_json(self.model_dump(mode="json"))


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory whose files have been compared with their digests."""

    digest: str
    manifest: Manifest
    contents: Mapping[str, bytes]
    """Bytes of each file but the manifest, by name."""

    def golden(self) -> Golden:
        """The golden rows."""
        try:
            return Golden.model_validate_json(self.contents[GOLDEN])
        except ValidationError as error:
            message = f"{GOLDEN} of bundle {self.digest} is not what it should be: {foreign(error)} Package it again."
            raise DataRejectedError(message) from error

    def load(self) -> Any:
        """The fitted scikit-learn estimator."""
        return load_model(self.contents[MODEL], f"{MODEL} of bundle {self.digest}")


def seal_bundle(description: Mapping[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """
    Make a bundle of its files.

    :param description: the fields of :class:`Manifest` but ``files``.
    :param contents: bytes of each of ``BUNDLE_FILES``.
    """
    files = {
        name: FileDigest(sha256=hashlib.sha256(contents[name]).hexdigest(), size_bytes=len(contents[name]))
        for name in BUNDLE_FILES
    }
    manifest = Manifest.model_validate({**description, "files": files})
    return Bundle(digest_of(manifest.content()), manifest, dict(contents))


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle's files into a folder, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in bundle.contents.items():
        (folder / name).write_bytes(content)
    # The manifest last: a folder whose writing was killed has none, and is no bundle.
    (folder / MANIFEST).write_bytes(bundle.manifest.content())


def read_bundle(source: Path | ReadFile, digest: str | None = None) -> Bundle:
    """
    Read a bundle and compare every file with its digest before anything of it is parsed.

    :param source: the bundle's folder, or a function that reads one of its files.
    :param digest: the digest that the bundle must have; without it, the digest that it has.
    :raises DataRejectedError: if a file is missing, changed, or no manifest; the message names it.
    """
    read = _folder_reader(source) if isinstance(source, Path) else source
    content = _read(read, MANIFEST)
    actual = digest_of(content)
    if digest is not None and actual != digest:
        message = f"{MANIFEST} has digest {actual}, but the bundle should be {digest}. Package the model again."
        raise DataRejectedError(message)
    manifest = _parse_manifest(content, actual)
    # Symmetric: an additional file would be one that nothing checks or reads.
    missing = set(BUNDLE_FILES) ^ set(manifest.files)
    if missing:
        message = f"{MANIFEST} of bundle {actual} must name {listed(BUNDLE_FILES)}; see {listed(missing)}."
        raise DataRejectedError(message)
    contents = {name: _checked(_read(read, name), name, expected, actual) for name, expected in manifest.files.items()}
    return Bundle(actual, manifest, contents)


def dump_model(estimator: Any) -> bytes:
    """
    Write an estimator as a skops file that :func:`load_model` accepts.

    :raises DataRejectedError: if it holds a type that is not on the list.
    """
    import skops.io

    content: bytes = skops.io.dumps(estimator)
    _refuse_foreign_types(content, type(estimator).__name__)
    return content


def load_model(content: bytes, where: str) -> Any:
    """
    Load an estimator from the bytes of a skops file, with our list of types and no other.

    :param content: bytes whose digest has been compared already.
    :param where: what the file is, for messages.
    :raises DataRejectedError: if it is a pickle, no skops file, or holds a type that is not on the list.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    # Before skops sees it: an error of skops would not state that a pickle was given.
    _refuse_pickle(content, where)
    _refuse_foreign_types(content, where)
    try:
        return skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise DataRejectedError(f"{where} holds types that are not trusted: {foreign(error)}") from error
    except _UNREADABLE as error:
        raise DataRejectedError(f"{where} cannot be read as a skops file: {foreign(error)}") from error


def largest_difference(expected: "NDArray[Any] | list[Any]", actual: "NDArray[Any] | list[Any]") -> float:
    """
    The largest absolute difference between two lists of predictions; 0 or infinite where they are labels.

    Different shapes differ infinitely, and so does a NaN from a number.
    """
    import numpy as np

    first, second = np.asarray(expected), np.asarray(actual)
    if first.shape != second.shape:
        return float("inf")
    # Labels are equal or not; a distance between strings means nothing.
    if first.dtype.kind not in "biuf" or second.dtype.kind not in "biuf":
        return 0.0 if bool(np.all(first == second)) else float("inf")
    if not np.array_equal(np.isnan(first.astype(float)), np.isnan(second.astype(float))):
        return float("inf")
    gaps = np.abs(first.astype(float) - second.astype(float))
    return float(np.nanmax(gaps, initial=0.0))


# skops has no error of its own for a damaged file.
_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What skops and zipfile raise on a file that is torn or crafted."""


def _refuse_pickle(content: bytes, where: str) -> None:
    if content.startswith(_ZIP_MAGIC):
        return
    if content[:1] and content[0] == _PICKLE_PROTOCOL:
        message = (
            f"{where} is a pickle, and a pickle runs whatever it holds when it is loaded: it was not opened. "
            "Save the model as a skops file and package it again."
        )
        raise DataRejectedError(message)
    raise DataRejectedError(f"{where} is no skops file (a zip archive is expected). Package the model again.")


def _refuse_foreign_types(content: bytes, where: str) -> None:
    import skops.io

    try:
        untrusted = skops.io.get_untrusted_types(data=content)
    except _UNREADABLE as error:
        raise DataRejectedError(f"{where} cannot be read as a skops file: {foreign(error)}") from error
    foreign_types = sorted(set(untrusted) - set(TRUSTED_TYPES))
    if foreign_types:
        message = (
            f"{where} holds types that are not trusted: {listed(foreign_types)}. Use scikit-learn's own estimators, or "
            "add the type to TRUSTED_TYPES in include/packaging/files.py after reading its code."
        )
        raise DataRejectedError(message)


def _folder_reader(folder: Path) -> ReadFile:
    # Read once: a second read could give other bytes than those whose digest was compared.
    return lambda name: (folder / name).read_bytes()


def _read(read: ReadFile, name: str) -> bytes:
    try:
        return read(name)
    except OSError as error:
        message = f"{name} of the bundle cannot be read: {foreign(error)}. Package the model again."
        raise DataRejectedError(message) from error


def _parse_manifest(content: bytes, digest: str) -> Manifest:
    if len(content) > _MANIFEST_LIMIT_BYTES:
        raise DataRejectedError(f"{MANIFEST} of bundle {digest} is {len(content)} bytes long; a manifest is not.")
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise DataRejectedError(f"{MANIFEST} of bundle {digest} is no manifest: {foreign(error)}") from error


def _checked(content: bytes, name: str, expected: FileDigest, digest: str) -> bytes:
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected.sha256 or len(content) != expected.size_bytes:
        kind = " (it is a pickle)" if name == MODEL and content[:1] == b"\x80" else ""
        message = (
            f"{name} of bundle {digest} has sha256 {actual}{kind}, its manifest names {expected.sha256}: it was not "
            "opened. Fetch or package the bundle again."
        )
        raise DataRejectedError(message)
    return content
