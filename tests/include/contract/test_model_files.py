import pytest
from pydantic import ValidationError

from include.contract.model_files import FileDigest, InputColumn, SignatureColumns


@pytest.mark.parametrize("digest", ["", "ab", "sha256:" + "0" * 57, "G" * 64])
def test_a_file_is_named_by_a_whole_digest(digest: str) -> None:
    with pytest.raises(ValidationError, match="sha256"):
        FileDigest(sha256=digest, size_bytes=1)


def test_a_column_is_required_unless_it_says_otherwise() -> None:
    assert InputColumn(name="distance", type="double").required


def test_a_type_that_no_request_can_hold_is_refused() -> None:
    with pytest.raises(ValidationError, match="type"):
        InputColumn.model_validate({"name": "picture", "type": "binary"})


def test_what_a_model_answers_stands_as_mlflow_writes_it() -> None:
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    found = SignatureColumns.model_validate({"inputs": [{"name": "a", "type": "long"}], "outputs": outputs})
    assert found.inputs == (InputColumn(name="a", type="long"),)
    assert found.model_dump(mode="json")["outputs"] == outputs
