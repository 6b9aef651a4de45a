import re

from include.packaging.files import Manifest
from include.serving.web import api_page
from tests.support.serving_bundles import bundle

IDENTITY = {"model": "departure_delay", "version": "3", "digest": "sha256:0"}


def manifest() -> Manifest:
    return bundle().manifest


def test_document_has_the_models_signature() -> None:
    document = api_page.openapi(manifest(), IDENTITY, {"columns": ["hour"], "data": [[7]]})
    row = document["components"]["schemas"]["Row"]
    assert row["properties"]["carrier"] == {"type": ["string", "null"]}
    assert row["properties"]["hour"] == {"type": "integer", "format": "int64"}
    assert row["properties"]["distance"] == {"type": ["number", "null"], "format": "double"}
    assert row["required"] == ["carrier", "origin", "hour", "distance"]
    body = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert body["application/json"]["example"] == {"dataframe_split": {"columns": ["hour"], "data": [[7]]}}
    assert "text/csv" in body
    assert document["info"]["version"] == "3"


def test_every_reference_leads_somewhere() -> None:
    document = api_page.openapi(manifest(), IDENTITY, {})
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


def test_page_shows_the_columns_and_asks_no_other_host() -> None:
    changed = manifest().model_copy(update={"model": "<script>"})
    page = api_page.page(changed, IDENTITY, api_page.openapi(changed, IDENTITY, {}))
    assert "<code>temp</code></td><td>double</td><td>no</td><td>yes</td>" in page
    assert "<code>hour</code></td><td>long</td><td>yes</td><td>no</td>" in page
    assert "<script>" not in page
    assert "http://" not in page
    assert "https://" not in page
