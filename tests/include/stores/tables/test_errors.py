import errno
import os

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError
from include.stores.tables.errors import is_race, mapped, reason, translated

DOING = "Writing partition '2013-03' of table 'flights/raw/weather'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Generic LocalFileSystem error: No space left on device (os error 28)", TemporaryError),
        ("Generic S3 error: Error performing GET in 1s, after 4 retries: 503 Service Unavailable", TemporaryError),
        ("Generic S3 error: error sending request for url", TemporaryError),
        ("Generic S3 error: operation timed out", TemporaryError),
        ("Generic S3 error: SlowDown", TemporaryError),
        ("The operation lacked the necessary privileges to complete: 403 Forbidden", ConfigurationError),
        ("Generic S3 error: 404: NoSuchBucket", ConfigurationError),
        ("Generic LocalFileSystem error: Permission denied (os error 13)", ConfigurationError),
        ("Kernel error: Json error: Truncated record whilst reading value", DataRejectedError),
    ],
)
def test_what_deltalake_raises_becomes_an_error_of_the_tree(text: str, expected: type[PlatformError]) -> None:
    error = translated(DeltaError(text), DOING, damaged="Restore it.")
    assert type(error) is expected
    assert str(error).startswith(DOING)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_temporary_in_any_language(number: int) -> None:
    error = translated(OSError(number, "voll"), DOING, damaged="Restore it.")
    assert isinstance(error, TemporaryError)
    assert "make room" in str(error)


def test_damage_comes_with_the_way_out() -> None:
    error = translated(DeltaError("No table metadata"), DOING, damaged="Restore it.")
    assert str(error) == f"{DOING} failed: No table metadata. Restore it."


def test_only_an_overtaken_commit_is_a_race() -> None:
    assert is_race(CommitFailedError("Failed to commit transaction: Concurrent transaction failed."))
    assert is_race(DeltaError("Generic error: A Delta Lake table already exists at that location."))
    assert not is_race(DeltaError("Generic S3 error: 503"))


def test_the_stack_of_deltalake_is_left_out_and_long_text_is_cut() -> None:
    assert reason(DeltaError("Json error\n   0: <unknown>\n   1: start_thread")) == "Json error"
    assert reason(DeltaError("Overtaken\nHelp: try again")) == "Overtaken"
    assert len(reason(DeltaError("x" * 1000))) == 256


@pytest.mark.parametrize(
    "error", [DeltaError("a"), pa.ArrowInvalid("a"), pa.ArrowKeyError("a"), OSError(errno.EIO, os.strerror(errno.EIO))]
)
def test_no_foreign_error_passes(error: Exception) -> None:
    with pytest.raises(PlatformError, match=DOING), mapped(DOING, damaged="Restore it."):
        raise error


def test_a_bug_passes() -> None:
    with pytest.raises(ZeroDivisionError, match="zero"), mapped(DOING, damaged="Restore it."):
        _ = 1 // 0


def test_colours_for_a_terminal_are_left_out() -> None:
    assert reason(ValueError("Generic error \x1b[31m↳\x1b[0m no answer")) == "Generic error ↳ no answer"
