"""The Parquet files of a table, in a directory or in S3: one file holds one partition."""

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import listed
from include.stores.objects.open import open_objects

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = "_delta_log"
_COMMIT = re.compile(r"\d{20}\.json")
# pyarrow's own limit: one row group holds a month, so a column is read in one piece.
_ROW_GROUP_ROWS = 1_048_576


@dataclass(frozen=True)
class TableFolder:
    """Where one table lies."""

    uri: str
    """``/folder/flights/raw/weather``, or ``s3://bucket/prefix/flights/raw/weather``."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the S3 client; empty for a directory."""

    @property
    def is_local(self) -> bool:
        """Whether it lies in a directory of this machine."""
        return self.uri.startswith("/")

    @cached_property
    def _files(self) -> Any:
        from pyarrow import fs

        if self.is_local:
            return fs.SubTreeFileSystem(self.uri, fs.LocalFileSystem())
        # The same S3 client as for the log: pyarrow's own takes neither its settings nor its retries.
        from deltalake.fs import DeltaStorageHandler

        return fs.PyFileSystem(DeltaStorageHandler(self.uri, dict(self.options)))

    def write(self, path: str, rows: "pa.Table") -> int:
        """
        Write a new file; nothing of it is left if that fails.

        :param path: below the table, and taken by no other file.
        :return: its size in bytes.
        """
        if self.is_local:
            (Path(self.uri) / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write(path, rows)
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.delete_file(path)
            raise
        if self.is_local:
            synced(Path(self.uri) / path)
        return int(self._files.get_file_info(path).size)

    def _write(self, path: str, rows: "pa.Table") -> None:
        import pyarrow.parquet as pq

        with self._files.open_output_stream(path) as stream:
            pq.write_table(
                rows,
                stream,
                compression="snappy",
                write_page_checksum=True,
                row_group_size=_ROW_GROUP_ROWS,
                store_schema=False,
            )

    def read(self, path: str, columns: Sequence[str] | None) -> "pa.Table":
        """A file's rows, in order; every page is compared with its checksum."""
        import pyarrow.parquet as pq

        with (
            self._files.open_input_file(path) as source,
            # Off by default in pyarrow: a flipped bit would be read as another value.
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            return file.read(columns=None if columns is None else list(columns))

    def has_log(self, version: int) -> bool:
        """Whether a version that was there still is; taken for granted on S3, where asking costs as much as reading."""
        return not self.is_local or (Path(self.uri) / _log_file(version)).exists()

    def damage(self) -> str:
        """A sentence with the files of the log that are no JSON or that are missing; empty if none is."""
        from pyarrow import fs

        listing = self._files.get_file_info(fs.FileSelector(_LOG, allow_not_found=True))
        commits = sorted(info.path for info in listing if _COMMIT.fullmatch(info.base_name))
        torn = [path for path in commits if not self._is_json(path)]
        if torn:
            return f"{listed(torn)} is damaged. " if len(torn) == 1 else f"{listed(torn)} are damaged. "
        numbers = [int(path.rsplit("/", 1)[1].split(".")[0]) for path in commits]
        # deltalake's own message for a missing commit names no file.
        gaps = sorted(set(range(max(numbers, default=0))) - set(numbers))
        return f"{listed(_log_file(number) for number in gaps)} is missing. " if gaps else ""

    def _is_json(self, path: str) -> bool:
        with self._files.open_input_file(path) as file:
            lines = file.read().splitlines()
        try:
            return all(isinstance(json.loads(line), dict) for line in lines)
        except ValueError:
            return False

    def begin_log(self, commit: bytes) -> bool:
        """
        Write the first version of the log, atomically and synced.

        :return: False if there was one already; it is left alone.
        """
        return open_objects(Path(self.uri).as_uri() if self.is_local else self.uri).create(_log_file(0), commit)

    def actions(self, version: int) -> list[dict[str, Any]]:
        """What one commit did, action by action."""
        with self._files.open_input_file(_log_file(version)) as file:
            return [json.loads(line) for line in file.read().splitlines()]

    def added_by(self, version: int) -> list[str]:
        """Paths of the files that one commit named."""
        return [str(action["add"]["path"]) for action in self.actions(version) if "add" in action]

    def sync_log(self, versions: range) -> None:
        """Let the disk have these versions of the log, so that what comes after them cannot outlive them."""
        if not self.is_local:
            return
        for version in versions:
            synced(Path(self.uri) / _log_file(version))
        # A new name in a directory is on the disk only when the directory was synced.
        synced(Path(self.uri) / _LOG)


def _log_file(version: int) -> str:
    return f"{_LOG}/{version:020d}.json"


def synced(path: Path) -> None:
    """Let the disk have a file's content before anything names it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
