"""Bases of all documents that one process writes as JSON and another reads."""

from pydantic import BaseModel, ConfigDict

Scalar = bool | int | float | str
"""One value of a parameter, or a class."""


class Document(BaseModel):
    """Base of every document: immutable; an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LeanDocument(Document):
    """A document whose validator is built at its first use, and whose fields have no descriptions at run time."""

    # Else every process that imports a receipt spends 45 ms of CPU on the docstrings and schemas of the results.
    model_config = ConfigDict(use_attribute_docstrings=False, defer_build=True)
