import json

import pytest

from include.contract.model_files import InputColumn
from include.serving.model.columns import RawTable, Signature
from include.serving.request_error import RequestError
from include.serving.web.bodies import read_table

TWO = Signature((InputColumn(name="a", type="double"), InputColumn(name="b", type="string")))
ONE = Signature((InputColumn(name="a", type="double"),))


def read(document: object, signature: Signature = TWO) -> dict[str, list[object]]:
    return lists(read_table(json.dumps(document).encode(), "application/json", signature))


def lists(table: RawTable) -> dict[str, list[object]]:
    assert all(len(values) == table.row_count for values in table.columns.values())
    return {name: list(values) for name, values in table.columns.items()}


EXPECTED = {"a": [1.0, 2.0], "b": ["x", "y"]}


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"], [2.0, "y"]]}},
        {"dataframe_split": {"columns": ["a", "b"], "index": [7, 8], "data": [[1.0, "x"], [2.0, "y"]]}},
        {"dataframe_records": [{"a": 1.0, "b": "x"}, {"b": "y", "a": 2.0}]},
        {"instances": [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]},
        {"inputs": {"a": [1.0, 2.0], "b": ["x", "y"]}},
        {"inputs": [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]},
        {"inputs": {"a": [1.0, 2.0], "b": ["x", "y"]}, "params": {"ignored": 1}},
    ],
)
def test_every_form_gives_the_same_table(document: object) -> None:
    assert read(document) == EXPECTED


def test_inputs_of_scalars_are_one_row() -> None:
    assert read({"inputs": {"a": 1.0, "b": "x"}}) == {"a": [1.0], "b": ["x"]}


def test_model_of_one_column_takes_bare_values() -> None:
    assert read({"instances": [1.0, 2.0]}, ONE) == {"a": [1.0, 2.0]}
    assert read({"inputs": [1.0]}, ONE) == {"a": [1.0]}


def test_value_that_a_record_leaves_out_is_null() -> None:
    assert read({"dataframe_records": [{"a": 1.0}, {"b": "y"}]}) == {"a": [1.0, None], "b": [None, "y"]}


def test_nan_is_read_as_python_writes_it() -> None:
    table = read_table(b'{"inputs": {"a": [NaN, 1], "b": ["x", null]}}', "application/json", TWO)
    assert str(table.columns["a"][0]) == "nan"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "must be a JSON object .*it is a list"),
        (3, "it is a number"),
        ({}, "it has nothing"),
        ({"rows": []}, "it has 'rows'"),
        ({"inputs": [], "instances": []}, "it has inputs, instances"),
        ({"dataframe_split": []}, "dataframe_split must be an object .*it is a list"),
        ({"dataframe_split": {"columns": ["a"]}}, "must have data"),
        ({"dataframe_split": {"columns": ["a"], "data": [], "dtype": 1}}, "it has columns, data, dtype"),
        ({"dataframe_split": {"data": [[1.0]]}}, "has no columns"),
        ({"dataframe_split": {"columns": [1], "data": [[1.0]]}}, "columns must be a list of names"),
        ({"dataframe_split": {"columns": "a", "data": [[1.0]]}}, "columns must be a list of names"),
        ({"dataframe_split": {"columns": ["a"], "data": 1}}, "dataframe_split.data must be a list; it is a number"),
        ({"dataframe_split": {"columns": ["a"], "data": [1]}}, r"data\[0\] must be a list of values"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"], [1.0]]}}, r"data\[1\] has 1 values for 2"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1.0, 2.0]]}}, "Column 'a' stands twice"),
        ({"dataframe_split": {"columns": ["a"], "index": [1, 2], "data": [[1.0]]}}, "index must name each row"),
        ({"dataframe_records": {"a": [1.0]}}, "dataframe_records must be a list; it is an object"),
        ({"dataframe_records": [{"a": 1.0}, 2]}, r"dataframe_records\[1\] must be an object"),
        ({"instances": [[1.0, "x"]]}, "instances must be a list of objects"),
        ({"instances": [{"a": 1.0, "b": "x"}, None]}, r"instances\[1\] must be an object; it is null"),
        ({"inputs": "x"}, "it is a string"),
        ({"inputs": {"a": [1.0, 2.0], "b": ["x"]}}, r"inputs\['b'\] must be a list of 2 values.*1 values"),
        ({"inputs": {"a": [1.0], "b": True}}, r"inputs\['b'\] must be a list of 1 values.*a boolean"),
    ],
)
def test_malformed_request_is_refused_with_what_is_wrong(document: object, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read(document)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"inputs": [1,]}', b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="no JSON"):
        read_table(body, "application/json", TWO)


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8", 'TEXT/CSV;charset="UTF-8"'])
def test_csv_is_read_with_its_missing_values(content_type: str) -> None:
    table = read_table(b"a,b\n1.5,x\n,NA\n", content_type, TWO)
    assert lists(table) == {"a": ["1.5", None], "b": ["x", None]}


def test_csv_as_pandas_writes_it_may_hold_the_index() -> None:
    table = read_table(b'\xef\xbb\xbf,a,b\r\n0,1.5,"x, y"\r\n1,2.5,z\r\n', "text/csv", TWO)
    assert lists(table) == {"a": ["1.5", "2.5"], "b": ["x, y", "z"]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body is empty"),
        (b"a,b\n1.5\n", r"CSV row \[0\] has 1 values for 2 columns"),
        (b"a,b\n1,x\n1,x,y\n", r"CSV row \[1\] has 3 values for 2 columns"),
        (b"a,a\n1,2\n", "Column 'a' stands twice"),
        (b'a,b\n1,"x\n', "no CSV"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
    ],
)
def test_malformed_csv_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_table(body, "text/csv", TWO)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/vnd.apache.parquet", "", "application/json; charset=latin-1", "text/csv; header=no"],
)
def test_other_content_types_are_unsupported(content_type: str) -> None:
    with pytest.raises(RequestError, match="Content-Type") as caught:
        read_table(b"{}", content_type, TWO)
    assert caught.value.status == 415
