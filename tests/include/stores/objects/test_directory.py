import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.contract.digest import digest_of
from include.errors import ConfigurationError, MissingObjectError, TemporaryError
from include.stores.objects.directory import DirectoryObjects
from include.stores.objects.open import open_objects
from tests.support import small_disk

_WRITER = """
import sys
from include.stores.objects.open import open_objects
objects = open_objects(sys.argv[1])
data = bytes(range(256)) * 4096
number = 0
while True:
    objects.create(f"many/{number}", data)
    number += 1
"""


@pytest.mark.parametrize("uri", ["", "/tmp/x", "file://host/x", "gs://bucket", "s3:///prefix", "file:relative"])
def test_a_uri_that_is_no_place_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no location for objects; write file:///folder or s3://"):
        open_objects(uri)


def test_a_folder_with_a_space_is_found(tmp_path: Path) -> None:
    objects = open_objects((tmp_path / "my objects").as_uri())
    objects.create("a", b"1")
    assert (tmp_path / "my objects" / "a").read_bytes() == b"1"


def test_the_directory_store_needs_nothing_but_the_standard_library_and_the_contract() -> None:
    program = (
        "import sys; from include.stores.objects.open import open_objects\n"
        "objects = open_objects('file:///nowhere/x'); objects.list('')\n"
        "print([name for name in ('boto3','botocore','pyarrow','deltalake','numpy','pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


def test_nothing_lies_in_the_store_that_was_not_created(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    objects.create("a/b", b"1")
    objects.create("a/b", b"2")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]
    assert objects.list("") == ["a/b"]


def test_what_a_kill_left_behind_is_no_object(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    objects.create("a", b"1")
    (tmp_path / ".partial" / "123-left").write_bytes(b"half")
    assert objects.list("") == ["a"]
    assert not objects.exists("123-left")


def test_a_key_below_an_object_is_missing_not_broken(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    objects.create("a", b"1")
    assert not objects.exists("a/b")
    with pytest.raises(MissingObjectError, match="no object 'a/b'"):
        objects.get("a/b")


def test_a_folder_that_is_no_folder_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match=r"Writing object 'a' to .*choose another"):
        DirectoryObjects(tmp_path / "file").create("a", b"1")


def test_a_disk_that_fails_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(TemporaryError, match=r"Writing object 'a' to .*/a failed: Input/output error"):
        DirectoryObjects(tmp_path).create("a", b"1")
    assert DirectoryObjects(tmp_path).list("") == []


def test_a_file_system_without_hard_links_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refusing)
    with pytest.raises(ConfigurationError, match=r"knows no hard links.*Put the objects on another one"):
        DirectoryObjects(tmp_path).create("a", b"1")


@pytest.mark.parametrize("way", small_disk.methods())
def test_a_full_disk_is_temporary_and_leaves_nothing_half_written(way: str, tmp_path: Path) -> None:
    program = """
from include.errors import TemporaryError
from include.stores.objects.directory import DirectoryObjects
objects = DirectoryObjects(FOLDER)
objects.create("small", b"kept")
try:
    objects.create("reports/large.html", b"x" * 1_000_000)
except TemporaryError as error:
    print(error)
print(objects.list(""), objects.get("small"), [p.name for p in FOLDER.rglob("*") if p.is_file()])
"""
    reported, rest = small_disk.run(way, program, tmp_path / "small", size_bytes=100_000).strip().splitlines()
    assert f"{tmp_path}/small/reports/large.html failed" in reported
    assert "Nothing was left half-written; make room" in reported
    assert rest == "['small'] b'kept' ['small']"


def test_of_many_writers_of_one_key_one_creates_it(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.starmap(_create_all, [(tmp_path.as_uri(), name) for name in ("a", "b", "c", "d")])
    objects = open_objects(tmp_path.as_uri())
    for number in range(40):
        winners = [name for name, numbers in zip("abcd", made, strict=True) if number in numbers]
        assert len(winners) == 1
        assert objects.get(f"ledger/{number}") == winners[0].encode() * 1000


def _create_all(uri: str, name: str) -> set[int]:
    objects = open_objects(uri)
    return {number for number in range(40) if objects.create(f"ledger/{number}", name.encode() * 1000)}


def test_a_killed_writer_leaves_whole_objects_only(tmp_path: Path) -> None:
    whole = digest_of(bytes(range(256)) * 4096)
    for attempt in range(5):
        root = tmp_path / str(attempt)
        process = subprocess.Popen([sys.executable, "-c", _WRITER, root.as_uri()])
        deadline = time.monotonic() + 60
        while not (root / "many" / "3").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        objects = open_objects(root.as_uri())
        assert len(objects.list("many/")) > 3
        assert {digest_of(objects.get(key)) for key in objects.list("many/")} == {whole}
