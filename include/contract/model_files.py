"""Digests and signature of a model's files, as both receipts and manifests of bundles hold them."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from include.contract.document import LeanDocument

SignatureType = Literal["boolean", "integer", "long", "float", "double", "string", "datetime"]
"""The types of an MLflow signature's columns that a model may require."""


class FileDigest(LeanDocument):
    """What one file must be."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """64 hexadecimal digits, without a prefix."""
    size_bytes: Annotated[int, Field(ge=0)]


class InputColumn(LeanDocument):
    """One column of the model's signature."""

    name: str
    type: SignatureType
    required: bool = True
    """Whether the column must be in a request; a value in it may be null where its type knows nulls."""


class SignatureColumns(LeanDocument):
    """A model's signature in MLflow's words."""

    inputs: tuple[InputColumn, ...]
    """The features that the model requires, in its order."""
    outputs: tuple[dict[str, JsonValue], ...]
    """The columns of its predictions, as MLflow writes them."""
