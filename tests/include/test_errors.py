import errno
import os

import pytest

from include import errors
from include.errors import (
    ConfigurationError,
    DataRejectedError,
    LeakError,
    MissingObjectError,
    NothingToDoError,
    PermanentError,
    PlatformError,
    TemporaryError,
    foreign,
    listed,
    near,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DataRejectedError, 65),
        (LeakError, 65),
        (MissingObjectError, 65),
        (PermanentError, 65),
        (ConfigurationError, 78),
        (TemporaryError, 75),
        (NothingToDoError, 99),
        (PlatformError, 70),
    ],
)
def test_each_error_owns_its_exit_code(kind: type[PlatformError], code: int) -> None:
    assert kind("x").exit_code == code


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, PlatformError)}
    assert not [name for name in kinds if name not in str(errors.__doc__)]


def test_what_is_permanent_is_not_temporary() -> None:
    for kind in (DataRejectedError, ConfigurationError, LeakError):
        assert issubclass(kind, PermanentError)
        assert not issubclass(kind, TemporaryError)


def test_foreign_text_is_one_line_and_cut() -> None:
    assert foreign("a\n  b\tc") == "a b c"
    assert foreign(ValueError("")) == "ValueError"
    assert foreign(OSError(errno.EIO, os.strerror(errno.EIO))) == "[Errno 5] Input/output error"
    assert len(foreign("x" * 1000)) == 256
    assert foreign("x" * 1000).endswith("…")


def test_lists_are_sorted_and_cut_at_ten() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(range(10, 22)) == "10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 2 more"
    assert listed([]) == ""


def test_a_near_name_is_suggested_only_where_it_is_near() -> None:
    assert near("roc_acu", ["roc_auc", "log_loss"]) == " Did you mean 'roc_auc'?"
    assert near("x", ["roc_auc"]) == ""
