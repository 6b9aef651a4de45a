import json
import stat
from pathlib import Path

from local_platform.services import credentials


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    first = credentials.provide(tmp_path / "secrets")
    assert credentials.provide(tmp_path / "secrets").keys == first.keys
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for name in ("passwords.json", "keys.json"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600
    assert json.loads(first.passwords_file.read_text()) == first.passwords
    assert set(first.passwords) == {"admin", "viewer"}


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    one, other = credentials.provide(tmp_path / "one"), credentials.provide(tmp_path / "other")
    assert not set(one.keys.values()) & set(other.keys.values())
    assert not set(one.passwords.values()) & set(other.passwords.values())


def test_a_torn_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"fernet": ')
    assert set(credentials.provide(tmp_path).keys) == {"fernet", "jwt", "session"}


def test_what_a_file_lacks_is_added_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"old": "known to a database"}')
    assert credentials.kept(path, {"old": "fresh", "new": "fresh"}) == {"old": "known to a database", "new": "fresh"}
    assert credentials.kept(path, {"old": "another", "new": "another"})["new"] == "fresh"


def test_secrets_do_not_show_in_a_representation(tmp_path: Path) -> None:
    made = credentials.provide(tmp_path)
    assert made.passwords["admin"] not in repr(made)
