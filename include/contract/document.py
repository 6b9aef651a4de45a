"""What all documents share that are written down as JSON and read back by another process."""

from pydantic import BaseModel, ConfigDict

Scalar = bool | int | float | str
"""One value of a parameter, or a class."""


class Document(BaseModel):
    """Base of every document: immutable, and a field that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LeanDocument(Document):
    """A document that costs nothing before it is used, and does not know the descriptions of its fields at run time."""

    # Every process that imports a receipt would spend 45 ms of CPU on the docstrings and schemas of what steps find.
    model_config = ConfigDict(use_attribute_docstrings=False, defer_build=True)
