import pytest
from pydantic import ValidationError

from include.contract.document import Document, LeanDocument


class Parcel(Document):
    weight_grams: int
    """Weight with its packaging."""


def test_a_document_cannot_be_changed() -> None:
    parcel = Parcel(weight_grams=3)
    with pytest.raises(ValidationError, match="frozen"):
        parcel.weight_grams = 4  # type: ignore[misc]  # that is what is refused


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Parcel.model_validate({"weight_grams": 3, "colour": "red"})


def test_a_lean_document_is_as_strict() -> None:
    class Letter(LeanDocument):
        pages: int

    letter = Letter(pages=2)
    with pytest.raises(ValidationError, match="frozen"):
        letter.pages = 3  # type: ignore[misc]  # that is what is refused
    with pytest.raises(ValidationError, match="colour"):
        Letter.model_validate({"pages": 2, "colour": "red"})


def test_fields_are_described_by_their_docstrings() -> None:
    assert Parcel.model_json_schema()["properties"]["weight_grams"]["description"] == "Weight with its packaging."
