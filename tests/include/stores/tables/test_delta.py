import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.tables.delta import DeltaTables
from include.stores.tables.open import open_tables
from tests.support import small_disk
from tests.support.servers.s3_server import BUCKET, CREDENTIALS, Fault, S3Server

NAME = "flights/raw/weather"
ROWS = pa.table({"hour": list(range(2000)), "temp": [float(number % 7) for number in range(2000)]})
OTHER = pa.table({"hour": list(range(3000)), "temp": [float(number % 5) for number in range(3000)]})
WAY_OUT_OF_FILE = (
    r"restore it, or run again the step that writes 'flights/raw/weather' for 2013-02; it replaces the file"
)
WAY_OUT_OF_LOG = r"restore its folder _delta_log, or move the whole table away and run again the steps that write it"
_ENDLESS_WRITER = """
import sys
import pyarrow as pa
from include.stores.tables.open import open_tables
tables = open_tables(sys.argv[1])
size = 2000
while True:
    rows = pa.table({"hour": list(range(size)), "temp": [float(number) for number in range(size)]})
    tables.write("flights/raw/weather", "2013-01", rows, stamp={})
    size = 5000 - size
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A table of three partitions."""
    tables = open_tables(tmp_path.as_uri())
    for partition in ("2013-01", "2013-02", "2013-03"):
        tables.write(NAME, partition, ROWS, stamp={})
    return tmp_path


def _file(root: Path, partition: str) -> Path:
    (result,) = (root / NAME / f"partition={partition}").iterdir()
    return result


def _log(root: Path, version: int) -> Path:
    return root / NAME / "_delta_log" / f"{version:020d}.json"


@pytest.mark.parametrize("uri", ["", "/tmp/x", "file://host/x", "gs://bucket", "s3:///prefix", "file:relative"])
def test_a_uri_that_is_no_place_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no location for tables; write file:///folder or s3://"):
        open_tables(uri)


def test_a_folder_with_a_space_is_found(tmp_path: Path) -> None:
    open_tables((tmp_path / "my tables").as_uri()).write(NAME, "2013-01", ROWS, stamp={})
    assert (tmp_path / "my tables" / NAME / "_delta_log").is_dir()


def test_plain_http_is_allowed_only_where_the_endpoint_is_plain() -> None:
    local, real = (
        open_tables("s3://b/x", {"AWS_ENDPOINT_URL": url}) for url in ("http://127.0.0.1:9", "https://s3.example")
    )
    assert isinstance(local, DeltaTables)
    assert isinstance(real, DeltaTables)
    assert local.options["allow_http"] == "true"
    assert "allow_http" not in real.options


def test_a_commit_keeps_the_stamp_and_the_digest(tmp_path: Path) -> None:
    tables = open_tables(tmp_path.as_uri())
    state = tables.write(NAME, "2013-01", ROWS, stamp={"step": "ingest", "run": "by-hand"})
    (commit,) = DeltaTable(tmp_path / NAME).history()
    assert (commit["step"], commit["run"], commit["digest"]) == ("ingest", "by-hand", state.digest)


def test_other_programs_read_the_table(root: Path) -> None:
    result = DeltaTable(root / NAME).to_pyarrow_table(filters=[("partition", "=", "2013-02")])
    assert result.drop_columns(["partition"]).equals(ROWS)


def test_a_partition_is_one_file_and_a_write_is_one_commit(root: Path) -> None:
    assert DeltaTable(root / NAME).version() == 2
    assert len(list((root / NAME / "partition=2013-02").iterdir())) == 1


def test_old_versions_are_never_cleaned_away(root: Path) -> None:
    settings = DeltaTable(root / NAME).metadata().configuration
    assert settings["delta.enableExpiredLogCleanup"] == "false"


def test_versions_before_and_after_a_checkpoint_are_read_alike(tmp_path: Path) -> None:
    tables = open_tables(tmp_path.as_uri())
    states = [tables.write(NAME, f"2013-{number % 12 + 1:02d}", ROWS[:number], stamp={}) for number in range(24)]
    assert (tmp_path / NAME / "_delta_log" / "_last_checkpoint").is_file()
    again = open_tables(tmp_path.as_uri())
    assert [again.state(NAME, state.partition, version=state.version) for state in states] == states
    assert len(again.partitions(NAME)) == 12


def test_a_store_sees_what_another_one_wrote(root: Path) -> None:
    first, second = open_tables(root.as_uri()), open_tables(root.as_uri())
    assert first.version(NAME) == second.version(NAME) == 2
    second.write(NAME, "2013-04", OTHER, stamp={})
    assert first.version(NAME) == 3
    assert first.read(NAME, "2013-04").equals(OTHER)


def test_a_table_that_was_moved_away_is_built_anew(root: Path) -> None:
    tables = open_tables(root.as_uri())
    assert tables.version(NAME) == 2
    shutil.rmtree(root / NAME)
    assert tables.state(NAME, "2013-01") is None
    assert tables.write(NAME, "2013-01", OTHER, stamp={}).version == 0
    assert tables.partitions(NAME) == ["2013-01"]


@pytest.mark.parametrize("damage", ["deleted", "half", "empty", "flipped"])
def test_a_damaged_file_is_reported_and_does_not_block_its_own_rebuild(root: Path, damage: str) -> None:
    path = _file(root, "2013-02")
    content = path.read_bytes()
    third = len(content) // 3
    flipped = content[:third] + bytes([content[third] ^ 0xFF]) + content[third + 1 :]
    path.unlink()
    if damage != "deleted":
        path.write_bytes({"half": content[: len(content) // 2], "empty": b"", "flipped": flipped}[damage])
    tables = open_tables(root.as_uri())
    for use in (tables.read, tables.state):
        with pytest.raises(DataRejectedError, match=rf"{path.name} of table '{NAME}'.*{WAY_OUT_OF_FILE}"):
            use(NAME, "2013-02")
    assert tables.read(NAME, "2013-01").equals(ROWS)
    written = tables.write(NAME, "2013-02", ROWS, stamp={})
    assert tables.state(NAME, "2013-02") == written


def test_a_file_of_another_number_of_rows_is_reported(root: Path) -> None:
    shutil.copy(_file(root, "2013-01"), target := _file(root, "2013-02"))
    log = _log(root, 1)
    log.write_text(log.read_text().replace('\\"numRecords\\": 2000', '\\"numRecords\\": 2001'))
    with pytest.raises(DataRejectedError, match=rf"{target.name} .*found 2000 rows, but 2001 were written"):
        open_tables(root.as_uri()).read(NAME, "2013-02")


@pytest.mark.parametrize(
    ("version", "content", "reported"),
    [
        (1, b'{"add":', r"_delta_log/0{19}1\.json is damaged\. Opening table 'flights/raw/weather'"),
        (2, b"\x00" * 400, r"_delta_log/0{19}2\.json is damaged"),
        (1, None, r"_delta_log/0{19}1\.json is missing"),
        (0, None, r"_delta_log/0{20}\.json is missing"),
        (0, b"{}\n", "Opening table 'flights/raw/weather' in .*No table metadata"),
    ],
)
def test_a_damaged_log_is_reported_with_the_remedy(
    root: Path, version: int, content: bytes | None, reported: str
) -> None:
    log = _log(root, version)
    log.unlink()
    if content is not None:
        log.write_bytes(content)
    tables = open_tables(root.as_uri())
    for use in (tables.read, tables.state, lambda name, partition: tables.write(name, partition, ROWS, stamp={})):
        with pytest.raises(DataRejectedError, match=f"{reported}.*{WAY_OUT_OF_LOG}"):
            use(NAME, "2013-02")
    (root / NAME).rename(root / "moved-away")
    digests = {tables.write(NAME, partition, ROWS, stamp={}).digest for partition in ("2013-01", "2013-02")}
    moved = open_tables((root / "again").as_uri())
    assert digests == {moved.write(NAME, "2013-02", ROWS, stamp={}).digest}


@pytest.mark.parametrize("way", small_disk.methods())
def test_a_full_disk_is_temporary_and_the_old_rows_stay(way: str, tmp_path: Path) -> None:
    program = """
import numpy as np
import pyarrow as pa
from include.errors import TemporaryError
from include.stores.tables.open import open_tables
tables = open_tables(FOLDER.as_uri())
small, large = (pa.table({"number": np.random.default_rng(1).random(count)}) for count in (100, 100_000))
before = tables.write("flights/raw/weather", "2013-01", small, stamp={})
try:
    tables.write("flights/raw/weather", "2013-01", large, stamp={})
except TemporaryError as error:
    print(error)
again = open_tables(FOLDER.as_uri())
print(again.state("flights/raw/weather", "2013-01") == before, len(list(FOLDER.rglob("*.parquet"))))
print(again.write("flights/raw/weather", "2013-01", small[:50], stamp={}).version)
"""
    reported, kept, version = small_disk.run(way, program, tmp_path / "small", size_bytes=150_000).strip().splitlines()
    assert "Writing partition '2013-01' of table 'flights/raw/weather'" in reported
    assert "the disk is full. The old rows are still there; make room and run it again" in reported
    assert kept == "True 1"
    assert version == "1"


def test_a_disk_that_fills_up_before_the_commit_is_temporary(tmp_path: Path) -> None:
    program = """
import resource
import pyarrow as pa
from include.errors import TemporaryError
from include.stores.tables import files as tables_files
from include.stores.tables.open import open_tables
tables = open_tables(FOLDER.as_uri())
rows = pa.table({"number": list(range(100))})
before = tables.write("flights/raw/weather", "2013-01", rows, stamp={})
write = tables_files.TableFolder.write
def write_and_fill(self, path, rows):
    size = write(self, path, rows)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return size
tables_files.TableFolder.write = write_and_fill
try:
    tables.write("flights/raw/weather", "2013-01", rows[:10], stamp={})
except TemporaryError as error:
    print(error)
print(open_tables(FOLDER.as_uri()).state("flights/raw/weather", "2013-01") == before)
"""
    reported, kept = small_disk.run("limit", program, tmp_path, size_bytes=10_000_000).strip().splitlines()
    assert "the disk is full" in reported
    assert kept == "True"


def test_writers_of_different_partitions_lose_nothing(tmp_path: Path) -> None:
    _race(tmp_path.as_uri(), writes=6, shared=False)
    tables = open_tables(tmp_path.as_uri())
    assert tables.version(NAME) == 4 * 6 - 1
    for writer in range(4):
        assert tables.read(NAME, f"2013-0{writer + 1}").equals(_rows_of(writer, 5))


def test_writers_of_one_partition_lose_and_tear_nothing(tmp_path: Path) -> None:
    written = _race(tmp_path.as_uri(), writes=5, shared=True)
    _check_shared(open_tables(tmp_path.as_uri()), written, writers=4, writes=5)


def test_writers_on_s3_lose_and_tear_nothing(s3: S3Server, tmp_path: Path) -> None:
    uri = f"s3://{BUCKET}/{tmp_path.name}"
    written = _race(uri, writes=2, shared=True, writers=2)
    _check_shared(open_tables(uri), written, writers=2, writes=2)


def _check_shared(tables: object, written: list[list[tuple[int, str]]], *, writers: int, writes: int) -> None:
    """Every write has a version of its own in which the partition is exactly its rows."""
    assert isinstance(tables, DeltaTables)
    assert tables.version(NAME) == writers * writes - 1
    assert sorted(version for versions in written for version, _ in versions) == list(range(writers * writes))
    for versions in written:
        for version, digest in versions:
            state = tables.state(NAME, "2013-01", version=version)
            assert state is not None
            assert (state.digest, state.version) == (digest, version)


def _race(uri: str, *, writes: int, shared: bool, writers: int = 4) -> list[list[tuple[int, str]]]:
    with multiprocessing.get_context("spawn").Pool(writers) as pool:
        return pool.starmap(_write_all, [(uri, writer, writes, shared) for writer in range(writers)])


def _write_all(uri: str, writer: int, writes: int, shared: bool) -> list[tuple[int, str]]:  # noqa: FBT001 (starmap)
    tables = open_tables(uri)
    partition = "2013-01" if shared else f"2013-0{writer + 1}"
    states = [tables.write(NAME, partition, _rows_of(writer, number), stamp={}) for number in range(writes)]
    return [(state.version, state.digest) for state in states]


def _rows_of(writer: int, number: int) -> pa.Table:
    return pa.table({"hour": [writer * 100 + number] * (50 + writer), "temp": [0.5] * (50 + writer)})


def test_a_killed_writer_leaves_the_old_rows_or_the_new(tmp_path: Path) -> None:
    randomly = random.Random(7)  # noqa: S311 (when to kill)
    sizes = set()
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", _ENDLESS_WRITER, tmp_path.as_uri()])
        reader = open_tables(tmp_path.as_uri())
        before, deadline = reader.version(NAME), time.monotonic() + 60
        while reader.version(NAME) in {None, before} and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(randomly.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        sizes.add(open_tables(tmp_path.as_uri()).read(NAME, "2013-01").num_rows)
    assert sizes <= {2000, 3000}
    tables = open_tables(tmp_path.as_uri())
    newest = tables.version(NAME)
    assert newest is not None
    for version in range(newest + 1):
        assert tables.read(NAME, "2013-01", version=version).num_rows in {2000, 3000}
    assert tables.write(NAME, "2013-01", ROWS, stamp={}).version == newest + 1


@pytest.fixture
def quick(s3: S3Server, tmp_path: Path) -> DeltaTables:
    """A store on S3 that gives up soon, with one partition."""
    result = open_tables(f"s3://{BUCKET}/{tmp_path.name}")
    assert isinstance(result, DeltaTables)
    soon = {"timeout": "1s", "max_retries": "1", "retry_timeout": "3s", "backoff_config.max_backoff": "300ms"}
    tables = DeltaTables(result.root, {**result.options, **soon})
    tables.write(NAME, "2013-01", ROWS, stamp={})
    return tables


def test_an_s3_that_is_away_for_a_while_is_waited_for(s3: S3Server, tmp_path: Path) -> None:
    uri = f"s3://{BUCKET}/{tmp_path.name}"
    open_tables(uri).write(NAME, "2013-01", ROWS, stamp={})
    s3.break_with(Fault("slow_down", times=6))
    assert open_tables(uri).write(NAME, "2013-01", OTHER, stamp={}).version == 1


@pytest.mark.parametrize("kind", ["slow_down", "hang"])
def test_an_s3_that_does_not_respond_is_temporary(quick: DeltaTables, s3: S3Server, kind: str) -> None:
    s3.break_with(Fault(kind))
    with pytest.raises(TemporaryError, match=r"Opening table 'flights/raw/weather' in s3://.*run it again"):
        quick.read(NAME, "2013-01")


@pytest.mark.parametrize(("method", "path"), [("PUT", ".parquet"), ("PUT", "_delta_log")])
def test_an_s3_that_fails_in_the_middle_of_a_write_is_temporary(
    quick: DeltaTables, s3: S3Server, method: str, path: str
) -> None:
    s3.break_with(Fault("slow_down", method=method, path=path))
    with pytest.raises(TemporaryError, match="Writing partition '2013-01' of table 'flights/raw/weather'"):
        quick.write(NAME, "2013-01", OTHER, stamp={})
    s3.heal()
    assert quick.read(NAME, "2013-01").equals(ROWS)


def test_a_data_file_that_s3_does_not_hand_out_is_temporary(quick: DeltaTables, s3: S3Server) -> None:
    s3.break_with(Fault("slow_down", path=".parquet"))
    with pytest.raises(TemporaryError, match=r"Reading file .*\.parquet of table"):
        quick.read(NAME, "2013-01")


def test_a_commit_whose_response_was_lost_is_committed_once(quick: DeltaTables, s3: S3Server) -> None:
    s3.break_with(Fault("lost", method="PUT", path="_delta_log", times=1))
    state = quick.write(NAME, "2013-01", OTHER, stamp={})
    assert state.version == 1
    assert quick.read(NAME, "2013-01").equals(OTHER)


def test_a_file_that_is_gone_from_s3_is_reported(quick: DeltaTables, s3: S3Server) -> None:
    import boto3

    client = boto3.session.Session().client("s3")
    (path,) = DeltaTable(f"{quick.root}/{NAME}", storage_options=dict(quick.options)).file_uris()
    client.delete_object(Bucket=BUCKET, Key=path.removeprefix(f"s3://{BUCKET}/"))
    with pytest.raises(DataRejectedError, match=r"\.parquet of table .*it replaces the file"):
        quick.read(NAME, "2013-01")
    quick.write(NAME, "2013-01", OTHER, stamp={})
    assert quick.read(NAME, "2013-01").equals(OTHER)


def test_a_refusal_of_s3_is_a_matter_of_configuration(quick: DeltaTables, s3: S3Server) -> None:
    s3.break_with(Fault("denied"))
    with pytest.raises(ConfigurationError, match=r"Opening table .* was refused.*AWS_"):
        quick.read(NAME, "2013-01")


def test_no_message_holds_a_secret(quick: DeltaTables, s3: S3Server) -> None:
    reported = [repr(quick), repr(quick.options)]
    for kind in ("slow_down", "denied"):
        s3.break_with(Fault(kind))
        with pytest.raises((TemporaryError, ConfigurationError), match="Opening") as caught:
            quick.read(NAME, "2013-01")
        reported.append(f"{caught.value} {caught.value.__cause__}")
    for secret in (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]):
        assert not [text for text in reported if secret in text]


def test_the_log_holds_one_line_of_metadata_and_a_fence_for_each_partition(root: Path) -> None:
    lines = [json.loads(line) for line in _log(root, 1).read_text().splitlines()]
    assert [line["txn"]["appId"] for line in lines if "txn" in line] == ["partition=2013-02"]
    assert not [line for line in lines if "metaData" in line]
