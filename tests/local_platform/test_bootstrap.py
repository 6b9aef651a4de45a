import base64
import hashlib
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from local_platform import bootstrap
from local_platform.bootstrap import BootstrapError, Installation
from local_platform.locations import REPOSITORY
from local_platform.services.processes import Process, wait_until_gone

LOCKS = ("requirements.txt", "include/requirements.txt", "requirements-dev.txt")


def wheel(folder: Path, version: str) -> str:
    """A package of one module; the line that locks it."""
    files = {
        "tiny.py": f"VERSION = '{version}'\n",
        f"tiny-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"tiny-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        for name, text in files.items()
    ]
    files[f"tiny-{version}.dist-info/RECORD"] = "\n".join([*rows, f"tiny-{version}.dist-info/RECORD,,", ""])
    path = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return f"tiny=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A repository whose locks name one tiny package, and a folder of wheels in place of an index."""
    (tmp_path / "include").mkdir()
    (tmp_path / "local_platform").mkdir()
    (tmp_path / "wheels").mkdir()
    line = wheel(tmp_path / "wheels", "1.0")
    for name in LOCKS:
        (tmp_path / name).write_text(line)
    shutil.copy(REPOSITORY / bootstrap.INSTALLER_LOCK, tmp_path / bootstrap.INSTALLER_LOCK)
    made = Installation(tmp_path, tmp_path / ".state")
    installer = made.folder / "installer"
    (installer / "bin").mkdir(parents=True)
    (installer / "bin" / "uv").symlink_to(REPOSITORY / ".state" / "installer" / "bin" / "uv")
    (installer / made.digest([bootstrap.INSTALLER_LOCK])[:12]).touch()
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return made


def version(installation: Installation) -> str:
    code = "import tiny; print(tiny.VERSION)"
    done = subprocess.run([installation.python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_an_environment_is_made_once(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.ensure(installation, "run")
    assert version(installation) == "1.0"
    compiled = installation.environment.glob("lib/*/site-packages/__pycache__/tiny.*.pyc")
    assert list(compiled)
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere")
    bootstrap.ensure(installation, "run")


def test_what_development_needs_is_enough_to_run(installation: Installation) -> None:
    bootstrap.ensure(installation, "development")
    assert installation.is_ready("run")
    assert installation.is_ready("development")


def test_what_running_needs_is_not_enough_for_development(installation: Installation) -> None:
    bootstrap.ensure(installation, "run")
    assert not installation.is_ready("development")


def test_a_changed_lock_changes_the_environment(installation: Installation) -> None:
    bootstrap.ensure(installation, "run")
    # Longer than the first: byte code of a module of the same size and second would count as its own.
    line = wheel(installation.repository / "wheels", "2.0.1")
    for name in bootstrap.RUN_LOCKS:
        (installation.repository / name).write_text(line)
    bootstrap.ensure(installation, "run")
    assert version(installation) == "2.0.1"


def test_an_installation_that_was_killed_is_made_anew(installation: Installation) -> None:
    bootstrap.ensure(installation, "run")
    torn = next(installation.environment.glob("lib/*/site-packages/tiny.py"))
    torn.unlink()  # the file is a hard link into the installer's cache
    torn.write_text("VERSION = ")
    installation.unfinished.touch()
    bootstrap.ensure(installation, "run")
    assert version(installation) == "1.0"
    assert not installation.unfinished.exists()


def test_when_setting_up_is_killed_its_installer_ends_too(installation: Installation) -> None:
    uv = installation.folder / "installer" / "bin" / "uv"
    real = uv.readlink()
    uv.unlink()
    uv.write_text(f"#!/bin/sh\necho $$ > {installation.folder}/pid\nexec sleep 600\n")
    uv.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from local_platform import bootstrap; "
        "bootstrap.ensure(bootstrap.Installation(Path(sys.argv[1]), Path(sys.argv[2])), 'run')"
    )
    words = [sys.executable, "-c", code, str(installation.repository), str(installation.folder)]
    with subprocess.Popen(words, cwd=REPOSITORY) as call:
        while not (installation.folder / "pid").exists() or not (installation.folder / "pid").read_text():
            time.sleep(0.05)
        installer = Process.of(int((installation.folder / "pid").read_text()))
        call.kill()
    assert installer
    assert wait_until_gone([installer], 10)
    uv.unlink()
    uv.symlink_to(real)
    bootstrap.ensure(installation, "run")
    assert version(installation) == "1.0"


def test_an_environment_whose_python_is_gone_is_made_anew(installation: Installation) -> None:
    bootstrap.ensure(installation, "run")
    installation.python.unlink()
    installation.python.symlink_to("/nowhere/python3.11")
    bootstrap.ensure(installation, "run")
    assert version(installation) == "1.0"


def test_without_an_index_the_message_states_what_to_do(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(BootstrapError, match="check the network, or name a reachable index in UV_DEFAULT_INDEX"):
        bootstrap.ensure(installation, "run")
    assert not installation.is_ready("run")


def test_a_package_that_is_not_the_locked_one_is_refused(installation: Installation) -> None:
    (installation.repository / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    (installation.repository / "include" / "requirements.txt").write_text("")
    with pytest.raises(BootstrapError, match="not the one that was locked"):
        bootstrap.ensure(installation, "run")


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_another_python_is_refused_in_one_sentence(version: tuple[int, int]) -> None:
    code = f"import runpy, sys; sys.version_info = {(*version, 0, 'final', 0)}; runpy.run_module('local_platform')"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(
        f"This is Python {version[0]}.{version[1]}, and the project needs Python 3.11, 3.12 or 3.13:"
    )


def test_byte_code_and_foreign_code_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"} & bootstrap.clean_environment().keys()
