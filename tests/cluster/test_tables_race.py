"""Writers of one table in S3, all at once: nothing is lost, doubled or given another's version."""

import multiprocessing
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from include.errors import TemporaryError
from include.stores.tables.open import open_tables

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

pytestmark = pytest.mark.needs("cluster")

WRITERS = 6
TABLES = ("race/raw/a", "race/raw/b", "race/raw/c")
ROUNDS = 2
SETTINGS = {
    "AWS_ENDPOINT_URL": "CLUSTER_S3_ENDPOINT",
    "AWS_ACCESS_KEY_ID": "CLUSTER_S3_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY": "CLUSTER_S3_SECRET_KEY",
}


@dataclass(frozen=True)
class Written:
    """One write that was acknowledged."""

    table: str
    partition: str
    writer: int
    number: int
    version: int


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place in the bucket, empty, and gone afterwards."""
    missing = [given for given in SETTINGS.values() if not os.environ.get(given)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not set: they name the S3 server beside the cluster.")
    for name, given in SETTINGS.items():
        monkeypatch.setenv(name, os.environ[given])
    for name, value in {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    bucket, prefix = os.environ.get("CLUSTER_S3_BUCKET") or "ml-platform", f"tests/{uuid.uuid4().hex}"
    # In a process of its own, which may open connections: a test may only on loopback.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(_make_bucket, [bucket])
        yield f"s3://{bucket}/{prefix}"
        pool.apply(_remove, [bucket, prefix])


@pytest.mark.parametrize("is_shared", [False, True], ids=["disjoint", "equal"])
def test_writers_at_once_lose_double_and_confuse_nothing(root: str, *, is_shared: bool) -> None:
    written, tables = _race(root, is_shared=is_shared), open_tables(root)
    assert len(written) > WRITERS * len(TABLES)
    for one in written:
        assert tables.read(one.table, one.partition, version=one.version).equals(_rows(one)), one
    for one in {(one.table, one.partition): one for one in sorted(written, key=lambda one: one.version)}.values():
        assert tables.read(one.table, one.partition).equals(_rows(one)), f"{one} is not what came last"
    for table in TABLES:
        versions = sorted(one.version for one in written if one.table == table)
        assert not is_shared or versions == sorted(set(versions)), f"two writes of {table} have one version"
        assert (tables.version(table) or 0) >= len(versions) - 1, f"a commit of {table} is lost"


def _race(root: str, *, is_shared: bool) -> list[Written]:
    spawned = multiprocessing.get_context("spawn")
    barrier, queue = spawned.Barrier(WRITERS), spawned.Queue()
    arguments = [(root, writer, "2013-01" if is_shared else f"2013-{writer + 1:02d}") for writer in range(WRITERS)]
    writers = [spawned.Process(target=_write, args=(*given, barrier, queue)) for given in arguments]
    for process in writers:
        process.start()
    found = [one for _ in writers for one in queue.get(timeout=200)]
    for process in writers:
        process.join(timeout=30)
    return found


def _write(root: str, writer: int, partition: str, barrier: Barrier, queue: "Queue[list[Written]]") -> None:
    tables, found = open_tables(root), list[Written]()
    for number in range(ROUNDS):
        for table in TABLES:
            barrier.wait(timeout=120)  # in the first round it is a race for making the table, too
            one = Written(table, partition, writer, number, 0)
            try:
                version = tables.write(table, partition, _rows(one), stamp={}).version
            except TemporaryError:
                continue  # it gave up and says so, which is no loss
            found.append(Written(table, partition, writer, number, version))
    queue.put(found)


def _rows(one: Written) -> pa.Table:
    return pa.table({"writer": [one.writer] * 3, "number": [one.number] * 3})


def _make_bucket(bucket: str) -> None:
    import boto3

    s3 = boto3.client("s3")
    if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)


def _remove(bucket: str, prefix: str) -> None:
    import boto3

    s3 = boto3.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for item in page.get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
