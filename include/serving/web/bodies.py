"""The four JSON forms and the CSV form of a request to ``/invocations``, as MLflow's scoring server knows them."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

import orjson

from include.errors import foreign, listed
from include.serving.model.columns import RawTable, Signature
from include.serving.request_error import RequestError, shown

JSON, CSV = "application/json", "text/csv"
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_MISSING_IN_CSV = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What pandas reads as missing."""


def read_table(body: bytes, content_type: str, signature: Signature) -> RawTable:
    """
    Read a request's body: JSON in one of the forms of MLflow's scoring server, or CSV with a header line.

    :param body: UTF-8.
    :param content_type: value of the header, with its parameters.
    :param signature: of the model; names the column where the body has bare values.
    :return: the columns that the body holds, with values as JSON or CSV gives them.
    :raises RequestError: 415 for another content type or charset, 400 for what cannot be read.
    """
    kind = _media_type(content_type)
    if kind == CSV:
        return _read_csv(body)
    document = _read_json(body)
    present = [form for form in _FORMS if form in document]
    if len(present) != 1:
        message = (
            f"The body must be a JSON object with exactly one of {listed(_FORMS)}; it has "
            f"{listed(present) if present else listed(map(shown, document)) or 'nothing'}."
        )
        raise RequestError(message)
    return _READERS[present[0]](document[present[0]], signature)


def _media_type(content_type: str) -> str:
    kind, *parameters = [part.strip() for part in content_type.split(";")]
    kind = kind.lower()
    if kind not in (JSON, CSV):
        message = f"Content-Type is {shown(content_type)}; send {JSON} or {CSV}."
        raise RequestError(message, status=415)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset" or value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            message = f"Content-Type has the parameter {shown(parameter)}; only charset=utf-8 is known."
            raise RequestError(message, status=415)
    return kind


def _read_json(body: bytes) -> Mapping[str, Any]:
    try:
        # Several times as fast as the standard library, which reads only what this refuses.
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _read_lenient_json(body)
    if not isinstance(document, dict):
        message = f"The body must be a JSON object with exactly one of {listed(_FORMS)}; it is {_kind(document)}."
        raise RequestError(message)
    return document


def _read_lenient_json(body: bytes) -> Any:
    """Python's own reader: MLflow's clients write NaN and Infinity, which are no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is no JSON: {foreign(error)}.") from error


def _from_split(table: Any, _signature: Signature) -> RawTable:
    if not isinstance(table, dict):
        raise RequestError(f"dataframe_split must be an object with columns and data; it is {_kind(table)}.")
    unknown = set(table) - {"columns", "data", "index"}
    if "data" not in table or unknown:
        message = f"dataframe_split must have data, and may have columns and index; it has {listed(table)}."
        raise RequestError(message, field="dataframe_split")
    data, names = _list("dataframe_split.data", table["data"]), table.get("columns")
    if names is None:
        raise RequestError("dataframe_split has no columns; name them.", field="dataframe_split.columns")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError("dataframe_split.columns must be a list of names.", field="dataframe_split.columns")
    # pandas writes it with orient="split"; predictions keep the order of rows, so it is not used.
    index = table.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        raise RequestError("dataframe_split.index must name each row of data once.", field="dataframe_split.index")
    return _from_rows(names, data, "dataframe_split.data")


def _from_rows(names: Sequence[str], data: Sequence[Any], where: str) -> RawTable:
    # The set is cheap; counting is quadratic, and only for a request that is refused.
    repeated = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if repeated:
        raise RequestError(f"Column '{repeated[0]}' stands twice in the request.", field=repeated[0])
    for row, values in enumerate(data):
        if not isinstance(values, list):
            raise RequestError(f"{where}[{row}] must be a list of values; it is {_kind(values)}.", row=row)
        if len(values) != len(names):
            message = f"{where}[{row}] has {len(values)} values for {len(names)} columns."
            raise RequestError(message, row=row)
    return RawTable(dict(zip(names, zip(*data, strict=True), strict=True)) if data else {}, len(data))


def _from_records(records: Any, _signature: Signature, where: str = "dataframe_records") -> RawTable:
    rows = _list(where, records)
    names: dict[str, None] = {}
    for row, record in enumerate(rows):
        if not isinstance(record, dict):
            raise RequestError(f"{where}[{row}] must be an object; it is {_kind(record)}.", row=row)
        names.update(dict.fromkeys(record))
    return RawTable({name: [record.get(name) for record in rows] for name in names}, len(rows))


def _from_instances(instances: Any, signature: Signature) -> RawTable:
    return _from_list(_list("instances", instances), signature, "instances")


def _from_inputs(inputs: Any, signature: Signature) -> RawTable:
    if isinstance(inputs, list):
        return _from_list(inputs, signature, "inputs")
    if not isinstance(inputs, dict):
        raise RequestError(f"inputs must be an object of columns or a list of records; it is {_kind(inputs)}.")
    if not any(isinstance(values, list) for values in inputs.values()):
        return RawTable({name: [value] for name, value in inputs.items()}, 1)
    row_count = len(next(values for values in inputs.values() if isinstance(values, list)))
    for name, values in inputs.items():
        if not isinstance(values, list) or len(values) != row_count:
            actual = f"{len(values)} values" if isinstance(values, list) else _kind(values)
            message = f"inputs['{name}'] must be a list of {row_count} values, as the first column; it is {actual}."
            raise RequestError(message, field=name)
    return RawTable(inputs, row_count)


def _from_list(rows: list[Any], signature: Signature, where: str) -> RawTable:
    """Records, or the bare values of a model with one column."""
    if rows and isinstance(rows[0], dict):
        return _from_records(rows, signature, where)
    if len(signature.inputs) == 1:
        return RawTable({signature.names[0]: rows}, len(rows))
    message = f"{where} must be a list of objects with the model's columns: {listed(signature.names)}."
    raise RequestError(message, field=where)


_READERS: dict[str, Callable[[Any, Signature], RawTable]] = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_records,
    "instances": _from_instances,
    "inputs": _from_inputs,
}


def _read_csv(body: bytes) -> RawTable:
    try:
        # Spreadsheets write a byte order mark at the beginning of a CSV file.
        lines = [line for line in csv.reader(StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if line]
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8: {foreign(error)}.") from error
    except csv.Error as error:
        raise RequestError(f"The body is no CSV: {foreign(error)}.") from error
    if not lines:
        raise RequestError("The body is empty; send a line with the names of the columns and one line per row.")
    names, rows = lines[0], [[None if cell in _MISSING_IN_CSV else cell for cell in line] for line in lines[1:]]
    table = _from_rows(names, rows, "CSV row ")
    # DataFrame.to_csv() writes the index first, without a name.
    named = {name: values for name, values in table.columns.items() if name != ""}
    return RawTable(named, table.row_count)


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(f"{where} must be a list; it is {_kind(value)}.", field=where)
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
