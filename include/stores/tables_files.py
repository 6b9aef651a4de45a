"""The Parquet files of a table, in a directory or in S3: one file holds one partition."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

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
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = [column.name for column in rows.schema if pa.types.is_string(column.type)]
        with self._files.open_output_stream(path) as stream:
            pq.write_table(
                rows,
                stream,
                compression="zstd",
                compression_level=1,
                use_dictionary=texts,
                write_page_checksum=True,
                row_group_size=_ROW_GROUP_ROWS,
                store_schema=False,
            )

    def read(self, path: str, columns: Sequence[str] | None) -> "pa.Table":
        """A file's rows, in order; every page is compared with its checksum."""
        import pyarrow.parquet as pq

        with (
            self._files.open_input_file(path) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            return file.read(columns=None if columns is None else list(columns))

    def sync_log(self, versions: range) -> None:
        """Let the disk have these versions of the log, so that what comes after them cannot outlive them."""
        if not self.is_local:
            return
        log = Path(self.uri) / "_delta_log"
        for version in versions:
            synced(log / f"{version:020d}.json")
        synced(log)


def synced(path: Path) -> None:
    """Let the disk have a file's content before anything names it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
