"""What kubeconform validates against: the cluster's own description of its API. Nothing is fetched from elsewhere."""

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def write_schemas(swagger: Schema, folder: Path) -> str:
    """
    Write one file for each kind.

    :param swagger: the response of the API server's ``/openapi/v2``.
    :return: the location for ``kubeconform -schema-location``.
    """
    definitions: Schema = {name: _strict(one) for name, one in swagger["definitions"].items()}
    definitions[INT_OR_STRING] = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    (folder / "definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, one in definitions.items():
        for kind in one.get("x-kubernetes-group-version-kind", []):
            group = f"{kind['group'].split('.')[0]}-" if kind["group"] else ""
            file = folder / f"{kind['kind']}-{group}{kind['version']}.json".lower()
            file.write_text(json.dumps({"$ref": f"definitions.json#/definitions/{name}"}))
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _strict(schema: Schema) -> Schema:
    """The schema, refusing every field that it does not name; references lead into the file of definitions."""
    text = json.dumps(schema).replace('"#/definitions/', '"definitions.json#/definitions/')
    read: Schema = json.loads(text)
    return {**read, "additionalProperties": False} if "properties" in read else read
