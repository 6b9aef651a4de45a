"""
The JSON schema of ``project.yaml``, with which editors complete and check it.

``python -m include.spec.schema`` writes it to ``include/projects/project.schema.json``.
"""

import json
import sys

from include.spec.load import projects_folder
from include.spec.project import ProjectSpec

FILE_NAME = "project.schema.json"


def schema_text() -> str:
    """The text of the schema file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ProjectSpec.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write the schema file; returns the exit code."""
    path = projects_folder() / FILE_NAME
    path.write_text(schema_text(), encoding="utf-8")
    sys.stdout.write(f"wrote {path.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
