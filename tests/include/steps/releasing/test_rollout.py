import pytest

from include.errors import DataRejectedError, TemporaryError
from include.steps.releasing.rollout import patient_answer, record_of_version
from include.stores.model_files import GoldenTable
from include.stores.serving_http import ServedAnswer
from include.stores.serving_memory import PUBLIC_URL, MemoryServing
from include.stores.serving_versions import SealedVersion

ROWS = GoldenTable(columns=["a"], data=[[1]])


class Server(MemoryServing):
    """Raises what it has, then answers."""

    errors: list[Exception]

    def answer(self, url: str, rows: GoldenTable) -> ServedAnswer:
        if self.errors:
            raise self.errors.pop(0)
        return ServedAnswer([1], "1", f"{url} {len(rows.data)}")


def server(*errors: Exception) -> Server:
    found = Server()
    found.errors = list(errors)
    return found


def test_server_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.steps.releasing.rollout._PAUSE_SECONDS", 0.0)
    found = server(TemporaryError("503"), TemporaryError("503"))
    assert patient_answer(found, PUBLIC_URL, ROWS).digest == f"{PUBLIC_URL} 1"


def test_server_that_refuses_is_not_asked_again() -> None:
    found = server(DataRejectedError("no"), DataRejectedError("never asked"))
    with pytest.raises(DataRejectedError, match=r"^no$"):
        patient_answer(found, PUBLIC_URL, ROWS)
    assert len(found.errors) == 1


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.steps.releasing.rollout.PATIENCE_SECONDS", -1.0)
    with pytest.raises(TemporaryError, match="503"):
        patient_answer(server(TemporaryError("503")), PUBLIC_URL, ROWS)


def test_version_is_named_as_the_server_names_it() -> None:
    version = SealedVersion(model="m", version=3, run_id="r", project="p", digest="d", partition="2013-09")
    found = record_of_version(version)
    assert (found.project, found.model, found.version, found.digest) == ("p", "m", 3, "d")
