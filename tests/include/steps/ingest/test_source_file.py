import hashlib
import zipfile
from pathlib import Path

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.steps.ingest.source_file import SourceFile, local_file


def opened(path: Path, member: str | None = None) -> SourceFile:
    return local_file(path, name=path.as_uri(), member=member)


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.csv", content)
    return path


def test_is_digested_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    content = b"a,b\n1,2\n"
    path.write_bytes(content)
    file = opened(path)
    assert file.state.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert file.state.size_bytes == 8
    file.close()


def test_is_read_from_the_beginning_each_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n")
    file = opened(path)
    for _ in range(2):
        with file.opened() as stream:
            assert stream.read() == b"a,b\n1,2\n"
    file.close()


def test_a_member(tmp_path: Path) -> None:
    file = opened(archive(tmp_path / "a.zip", x="1", y="2"), "y.csv")
    with file.opened() as stream:
        assert stream.read() == b"2"


def test_a_member_that_is_not_there(tmp_path: Path) -> None:
    file = opened(archive(tmp_path / "a.zip", orders="1"), "order.csv")
    with (
        pytest.raises(
            DataRejectedError, match=r"no file 'order\.csv'; it holds orders\.csv\. Did you mean 'orders\.csv'\?"
        ),
        file.opened(),
    ):
        pass


def test_an_archive_without_a_member(tmp_path: Path) -> None:
    file = opened(archive(tmp_path / "a.zip", orders="1"))
    with pytest.raises(DataRejectedError, match=r"is a zip archive\. Name the file in it with 'member'"), file.opened():
        pass


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", orders="order,amount\n" * 1000)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    file = opened(path, "orders.csv")
    with pytest.raises(DataRejectedError, match=r"not a complete zip archive"), file.opened() as stream:
        stream.read()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"gone\.csv does not exist .* Put it there, or correct 'location'"):
        opened(tmp_path / "gone.csv")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"does not exist"):
        opened(tmp_path)


def test_a_file_written_to_since_it_was_digested(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a")
    file = opened(path)
    file.check_unchanged()
    path.write_bytes(b"ab")
    with pytest.raises(TemporaryError, match=r"was changed while it was read"):
        file.check_unchanged()
