"""What every store of objects promises, whichever it is."""

import hashlib

import pyarrow as pa
import pytest

from include.errors import ConfigurationError, MissingObjectError
from include.stores.objects.protocol import ObjectStore

NAME = "flights/raw/weather"
ROWS = pa.table({"origin": ["EWR", None, "LGA"], "temp": [1.5, None, -0.0], "hour": [3, 1, 2]})
STAMP = {"step": "ingest", "run": "by-hand"}


def test_an_object_is_written_once(objects: ObjectStore) -> None:
    assert objects.create("receipts/a.json", b"first")
    assert not objects.create("receipts/a.json", b"second")
    assert objects.get("receipts/a.json") == b"first"


def test_creating_the_same_bytes_twice_is_creating_once(objects: ObjectStore) -> None:
    data = b"same"
    assert objects.create("a", data)
    assert not objects.create("a", data)


def test_an_empty_object_and_a_large_one_come_back(objects: ObjectStore) -> None:
    large = bytes(range(256)) * 4_000
    assert objects.create("empty", b"")
    assert objects.create("large", large)
    assert objects.get("empty") == b""
    assert objects.get("large") == large


def test_a_missing_object_is_reported_by_its_key(objects: ObjectStore) -> None:
    assert not objects.exists("runs/x.json")
    with pytest.raises(MissingObjectError, match=r"runs/x\.json.*Restore it, or run the step again"):
        objects.get("runs/x.json")


def test_an_object_exists_once_it_is_created(objects: ObjectStore) -> None:
    objects.create("runs/x.json", b"{}")
    assert objects.exists("runs/x.json")
    assert not objects.exists("runs/x")
    assert not objects.exists("runs")


def test_keys_are_listed_in_order_by_prefix(objects: ObjectStore) -> None:
    for key in ("runs/b/2.json", "runs/b/10.json", "runs/a.json", "runs-old/a.json", "receipts/a.json"):
        objects.create(key, b"{}")
    assert objects.list("runs/") == ["runs/a.json", "runs/b/10.json", "runs/b/2.json"]
    assert objects.list("runs/b/1") == ["runs/b/10.json"]
    assert objects.list("runs") == ["runs-old/a.json", "runs/a.json", "runs/b/10.json", "runs/b/2.json"]
    assert objects.list("nothing/here/") == []
    assert len(objects.list("")) == 5


def test_sealing_creates_or_takes_what_is_there(objects: ObjectStore) -> None:
    first = objects.seal("reports/a.html", b"<p>")
    second = objects.seal("reports/a.html", b"something else")
    assert first == second
    assert (first.name, first.size_bytes) == ("reports/a.html", 3)
    assert first.digest == f"sha256:{hashlib.sha256(b'<p>').hexdigest()}"


@pytest.mark.parametrize(
    "key", ["../x", "/etc/passwd", "a/../b", "a//b", "a/", "", ".hidden", "a/.b", "a\\b", "a b", "a\x00b", "x" * 901]
)
def test_a_key_that_could_lead_out_of_the_store_is_refused(objects: ObjectStore, key: str) -> None:
    for use in (objects.get, objects.exists, objects.url, lambda key: objects.create(key, b"")):
        with pytest.raises(ConfigurationError, match="is no key of an object"):
            use(key)


def test_a_person_finds_the_object_by_its_url(objects: ObjectStore) -> None:
    objects.create("reports/a.html", b"<p>")
    assert objects.url("reports/a.html").endswith("/reports/a.html")
    assert "://" in objects.url("reports/a.html")
