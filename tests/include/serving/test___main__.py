import os

import pytest

from include.serving.__main__ import main, parser


def test_defaults_listen_on_loopback() -> None:
    given = parser().parse_args(["--bundle", "/model"])
    assert (given.host, given.port, given.version, given.digest) == ("127.0.0.1", 8080, None, None)


def test_settings_that_are_none_are_a_configuration_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    code = main(["--bundle", "/model", "--settings", '{"drain": 1}'])
    assert code == os.EX_CONFIG
    assert "--settings" in capsys.readouterr().err


def test_bundle_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    assert main(["--bundle", "/nowhere", "--port", "0"]) == os.EX_DATAERR
    assert "manifest.json of the bundle cannot be read" in capsys.readouterr().err
