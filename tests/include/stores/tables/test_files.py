from pathlib import Path

import pyarrow as pa
import pytest

from include.stores.tables.files import TableFolder
from tests.support.servers.s3_server import BUCKET, S3Server

ROWS = pa.table({"origin": ["EWR", None], "temp": [1.0, 2.0]})


@pytest.fixture(params=["directory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> TableFolder:
    if request.param == "directory":
        return TableFolder(str(tmp_path))
    server: S3Server = request.getfixturevalue("s3")
    options = {"aws_endpoint_url": server.endpoint, "allow_http": "true", "aws_conditional_put": "etag"}
    return TableFolder(f"s3://{BUCKET}/{tmp_path.name}", options)


def test_a_file_is_read_as_it_was_written(folder: TableFolder) -> None:
    size = folder.write("partition=2013-01/a.parquet", ROWS)
    assert size > 100
    assert folder.read("partition=2013-01/a.parquet", None).equals(ROWS)
    assert folder.read("partition=2013-01/a.parquet", ["temp"]).equals(ROWS.select(["temp"]))


def test_a_file_that_is_not_there_is_an_error_of_the_operating_system(folder: TableFolder) -> None:
    with pytest.raises(OSError, match=r"nothing\.parquet|No such"):
        folder.read("nothing.parquet", None)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: TableFolder, path: str, _rows: pa.Table) -> None:
        (Path(self.uri) / path).write_bytes(b"half")
        message = "broken"
        raise OSError(message)

    monkeypatch.setattr(TableFolder, "_write", failing)
    with pytest.raises(OSError, match="broken"):
        TableFolder(str(tmp_path)).write("partition=2013-01/a.parquet", ROWS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_damage_of_a_log_is_named(tmp_path: Path) -> None:
    folder = TableFolder(str(tmp_path))
    assert folder.damage() == ""
    log = tmp_path / "_delta_log"
    log.mkdir()
    for version in (0, 1, 3):
        (log / f"{version:020d}.json").write_text('{"commitInfo":{}}\n')
    (log / "_last_checkpoint").write_text("no commit")
    assert folder.damage() == "_delta_log/00000000000000000002.json is missing. "
    (log / f"{1:020d}.json").write_text('{"add":')
    assert folder.damage() == "_delta_log/00000000000000000001.json is damaged. "
    (log / f"{3:020d}.json").write_text("[]\n")
    assert "00001.json, _delta_log/00000000000000000003.json are damaged. " in folder.damage()


def test_a_log_that_was_moved_away_is_noticed_in_a_directory(tmp_path: Path) -> None:
    assert not TableFolder(str(tmp_path)).has_log(0)
    assert TableFolder("s3://bucket/table").has_log(0)


def test_options_are_not_shown() -> None:
    assert "canary" not in repr(TableFolder("s3://b/t", {"aws_secret_access_key": "canary"}))
