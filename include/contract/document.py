"""What all documents share that are written down as JSON and read back by another process."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Base of every document: immutable, and a field that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
