"""The model's API as an OpenAPI document and as one page of HTML that needs nothing from another host."""

import html
import json
from collections.abc import Mapping
from typing import Any

from include.packaging.files import InputColumn, Manifest
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
    The OpenAPI document.

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
    """The same for a reader, as one page of HTML."""
    rows = "".join(
        f"<tr><td><code>{html.escape(column.name)}</code></td><td>{column.type}</td>"
        f"<td>{_yes(is_mandatory(column))}</td><td>{_yes(column.type not in _WITHOUT_NULL)}</td></tr>"
        for column in manifest.inputs
    )
    media = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    example = html.escape(json.dumps(media.get("example", {"dataframe_records": [{}]}), indent=1))
    paths = "".join(
        f"<li><code>{verb.upper()} {path}</code> {html.escape(operation['summary'])}</li>"
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    )
    title, version = html.escape(manifest.model), html.escape(identity["version"] or "-")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>Version {version}, bundle <code>{identity['digest']}</code>, answers with "
        f"<code>{manifest.predict}</code>. Machine-readable: <a href=openapi.json>openapi.json</a>.</p>"
        f"<h2>Requests</h2><ul>{paths}</ul><h2>Columns</h2><table><tr><th>name<th>type<th>required<th>may be null</tr>"
        f"{rows}</table><h2>Example body of POST /invocations</h2><pre>{example}</pre></html>"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}table{border-collapse:collapse}td,th{border:1px solid #ccd;padding:.25rem .75rem;text-align:left}"
    "pre{background:#f4f6f8;padding:1rem;overflow:auto}"
    "@media(prefers-color-scheme:dark){body{background:#15181c;color:#e6e9ec}pre{background:#22272d}a{color:#8ab4f8}}"
)


def _yes(value: bool) -> str:  # noqa: FBT001 (its only argument)
    return "yes" if value else "no"


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
    answered = {"application/json": {"schema": {"$ref": "#/components/schemas/Predictions"}}}
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
                "content": answered,
            },
            "400": {"description": "A row, a column or the body is wrong; the field is named.", **refused},
            "413": {"description": "The body is too large.", **refused},
            "415": {"description": "The content type is not known.", **refused},
            "503": {"description": "Too many requests wait.", **refused},
        },
    }


def _gets() -> dict[str, Any]:
    summaries = {
        "/ping": "Alive, as MLflow answers it.",
        "/version": "Version of MLflow that logged and scores models.",
        "/health": "Alive, and which model.",
        "/ready": "200 while the server takes requests, 503 while it drains.",
        "/metrics": "Counts and times for Prometheus.",
    }
    return {
        path: {"get": {"summary": summary, "responses": {"200": {"description": "OK"}}}}
        for path, summary in summaries.items()
    }
