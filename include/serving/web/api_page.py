"""The model's API as an OpenAPI document and as one page of HTML that needs nothing from another host."""

import json
from collections.abc import Mapping
from typing import Any

from include.contract.model_files import InputColumn
from include.packaging.files import Manifest
from include.pages.rendering import rendered
from include.serving.model.columns import is_mandatory

_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
_WITHOUT_NULL = frozenset({"boolean", "integer", "long"})


def openapi(manifest: Manifest, identity: Mapping[str, str], example: Mapping[str, Any]) -> dict[str, Any]:
    """
    The OpenAPI 3.1 document.

    :param manifest: of the served bundle; its inputs are the schema of a row.
    :param identity: model, version and digest.
    :param example: one row as ``dataframe_split`` holds it; may be empty.
    """
    row = {
        "type": "object",
        "properties": {column.name: _schema(column) for column in manifest.inputs},
        "required": [column.name for column in manifest.inputs if is_mandatory(column)],
        "additionalProperties": True,
    }
    columns = {column.name: {"type": "array", "items": _schema(column)} for column in manifest.inputs}
    body = {
        "oneOf": [
            _form("dataframe_split", {"$ref": "#/components/schemas/Split"}),
            _form("dataframe_records", {"$ref": "#/components/schemas/Rows"}),
            _form("instances", {"$ref": "#/components/schemas/Rows"}),
            _form(
                "inputs", {"oneOf": [{"type": "object", "properties": columns}, {"$ref": "#/components/schemas/Rows"}]}
            ),
        ]
    }
    json_body: dict[str, Any] = {"schema": body}
    if example:
        json_body["example"] = {"dataframe_split": dict(example)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.model,
            "version": identity["version"] or "0",
            "description": f"Bundle {identity['digest']}, run {manifest.run_id}, project {manifest.project}.",
        },
        "paths": {"/invocations": {"post": _invocations(json_body)}, **_gets()},
        "components": {
            "schemas": {
                "Row": row,
                "Rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1},
                "Split": _split(manifest),
                "Predictions": _predictions(manifest),
                "Error": _error(),
            }
        },
    }


def page(manifest: Manifest, identity: Mapping[str, str], document: Mapping[str, Any]) -> str:
    """
    The same for a reader, as one page of HTML.

    :param identity: model, version and digest.
    :param document: what :func:`openapi` made.
    """
    media = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    columns = [
        {
            "name": column.name,
            "type": column.type,
            "required": is_mandatory(column),
            "nullable": column.type not in _WITHOUT_NULL,
        }
        for column in manifest.inputs
    ]
    return rendered(
        "serving/web/api_page.html.jinja",
        title=manifest.model,
        manifest=manifest,
        identity=identity,
        document=document,
        columns=columns,
        example=json.dumps(media.get("example", {"dataframe_records": [{}]}), indent=1),
    )


def _schema(column: InputColumn) -> dict[str, Any]:
    schema = dict(_SCHEMAS[column.type])
    return schema if column.type in _WITHOUT_NULL else {**schema, "type": [schema["type"], "null"]}


def _form(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "title": name, "properties": {name: schema}, "required": [name]}


def _split(manifest: Manifest) -> dict[str, Any]:
    names = [column.name for column in manifest.inputs]
    return {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string", "examples": names}},
            "index": {"type": "array"},
            "data": {"type": "array", "items": {"type": "array"}, "minItems": 1},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }


def _predictions(manifest: Manifest) -> dict[str, Any]:
    one: dict[str, Any] = {}
    if manifest.predict == "predict_proba":
        one = {"type": "array", "items": {"type": "number"}, "description": "One probability per class, in order."}
    entries = {"type": "array", "items": one, "description": "One entry per row."}
    return {"type": "object", "properties": {"predictions": entries}, "required": ["predictions"]}


def _error() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "error_code": {"type": "string"},
            "message": {"type": "string"},
            "field": {"type": "string", "description": "The column or part of the body that is wrong."},
            "row": {"type": "integer", "description": "The row that is wrong; the first is 0."},
        },
        "required": ["error_code", "message"],
    }


def _invocations(json_body: Mapping[str, Any]) -> dict[str, Any]:
    refused = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    predicted = {"application/json": {"schema": {"$ref": "#/components/schemas/Predictions"}}}
    names = ("name", "version", "digest")
    return {
        "summary": "Predict rows.",
        "requestBody": {
            "required": True,
            "content": {"application/json": json_body, "text/csv": {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": {
                "description": "One prediction per row.",
                "headers": {f"X-Model-{name.title()}": {"schema": {"type": "string"}} for name in names},
                "content": predicted,
            },
            "400": {"description": "A row, a column or the body is wrong; the field is named.", **refused},
            "413": {"description": "The body is too large.", **refused},
            "415": {"description": "The content type is not known.", **refused},
            "503": {"description": "Too many requests wait.", **refused},
        },
    }


def _gets() -> dict[str, Any]:
    summaries = {
        "/ping": "Alive, with the response of MLflow.",
        "/version": "Version of MLflow that logged and scores models.",
        "/health": "Alive, and which model.",
        "/ready": "200 while the server takes requests, 503 while it drains.",
        "/metrics": "Counts and times for Prometheus.",
    }
    return {
        path: {"get": {"summary": summary, "responses": {"200": {"description": "OK"}}}}
        for path, summary in summaries.items()
    }
