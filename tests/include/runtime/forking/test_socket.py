import os
import socket
from pathlib import Path

import pytest

from include.errors import ConfigurationError
from include.runtime.forking.socket import listen, user_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    return folder


def test_the_socket_is_its_users_alone_and_says_who_calls(folder: Path) -> None:
    path = folder / "new" / "fork.sock"
    with listen(path) as listener, socket.socket(socket.AF_UNIX) as caller:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        caller.connect(str(path))
        connection, _ = listener.accept()
        with connection:
            assert user_of(connection) == os.getuid()


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"may be entered by others \(mode 755\)"):
        listen(folder / "fork.sock")


def test_a_dead_servers_socket_is_taken_over_and_a_living_ones_is_not(folder: Path) -> None:
    path = folder / "fork.sock"
    listen(path).close()
    with listen(path), pytest.raises(ConfigurationError, match="Another fork server already answers"):
        listen(path)
