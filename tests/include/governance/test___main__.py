import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.contract import settings
from include.contract.layout import bundle_prefix, mutex_prefix
from include.coordination.mutex import mutex
from include.errors import EXIT_DONE, ConfigurationError
from include.governance.__main__ import main, parser
from include.governance.ledger import Ledger, LedgerEvent, LedgerWho
from include.governance.promotion import Promotion, promote
from include.governance.versions import champion, version_of_bundle, version_tags
from include.packaging.files import MANIFEST, Bundle, write_bundle
from include.runtime.events import EventLog
from include.spec.load import load_project
from include.stores.installation import Stores
from include.stores.serving.http import ServedPredictions
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.serving_bundles import ROOT, bundle, clean_environment, running_supervisor

FLIGHTS = "flights"
WORDS = ("rollback", "--project", FLIGHTS, "--why", "wrong since noon", "--who", "ann")
COMMAND = (sys.executable, "-m", "include.governance", *WORDS)
SECONDS = 120.0


def test_rollback_takes_a_project_a_reason_and_a_person() -> None:
    given = parser().parse_args(["rollback", "--project", "flights", "--why", "wrong", "--to", "3", "--who", "ann"])
    assert (given.operation, given.project, given.why, given.to, given.who) == (
        "rollback",
        "flights",
        "wrong",
        3,
        "ann",
    )


@pytest.mark.parametrize("words", [[], ["rollback", "--project", "flights"], ["undo"]])
def test_command_line_that_is_none_is_the_configurations_fault(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == ConfigurationError.exit_code


def test_operation_that_fails_states_why_and_ends_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = Stores({"ML_OBJECTS_URI": tmp_path.as_uri()})
    code = main(["rollback", "--project", "flights", "--why", "wrong"], stores)
    assert code == ConfigurationError.exit_code
    reported = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert "nothing to go back to" in reported["message"]
    assert reported["operation"] == "rollback"


@dataclass(frozen=True)
class Installation:
    """A real registry, a real model server, a directory, and two versions that were promoted one after the other."""

    stores: Stores
    model: str
    old: int
    new: int

    def champion(self) -> int | None:
        result = champion(self.stores.registry, self.model)
        return None if result is None else result.version

    def response(self) -> ServedPredictions:
        """What the traffic gets."""
        url = self.stores.serving.status(FLIGHTS, self.model).public_url
        return self.stores.serving.predict(url, bundle(1).golden().rows)

    def ledger(self) -> list[tuple[LedgerEvent, str | None, str, int]]:
        """Who promoted which version and why."""
        notes = [entry.note for entry in Ledger(self.stores.objects, FLIGHTS, self.model).entries()]
        return [(note.event, note.who.person, note.why, note.after.version) for note in notes]

    def variables(self) -> dict[str, str]:
        return {**clean_environment(), **self.stores.environment}

    def rolled_back(self, *more: str) -> "subprocess.CompletedProcess[str]":
        """The command, as a person calls it."""
        words = [*COMMAND, *more]
        return subprocess.run(
            words, cwd=ROOT, env=self.variables(), check=False, text=True, capture_output=True, timeout=SECONDS
        )

    def killed_once_it_said(self, event: str) -> None:
        """Call the command, and kill it as soon as it says something."""
        with subprocess.Popen(COMMAND, cwd=ROOT, env=self.variables(), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            said = next((line for line in process.stderr if json.loads(line)["event"] == event), None)
            process.kill()
        assert said, f"it ended and never said '{event}'"
        assert process.returncode == -9


@pytest.fixture
def installation(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Installation]:
    control = tmp_path / "c.sock"
    reported = {
        settings.OBJECTS_URI: (tmp_path / "objects").as_uri(),
        settings.TRACKING_URI: mlflow_server.uri,
        settings.SERVING_URI: f"unix://{control}",
    }
    stores, model = Stores(reported), load_project(FLIGHTS).model.name
    with running_supervisor(tmp_path / "state", control):
        try:
            old, new = (promoted(stores, model, bundle(seed), tmp_path / f"{seed}") for seed in (1, 2))
            yield Installation(stores, model, old, new)
        finally:
            forget(mlflow_server, model)


def promoted(stores: Stores, model: str, made: Bundle, folder: Path) -> int:
    """A bundle sealed, registered and promoted, as the steps do it."""
    write_bundle(made, folder)
    run = stores.registry.start_run(FLIGHTS, "by hand", {})
    stores.registry.log_model(run, folder)
    prefix = bundle_prefix(FLIGHTS, made.digest)
    for name, content in {**made.contents, MANIFEST: made.manifest.content()}.items():
        stores.objects.seal(prefix + name, content)
    tags = version_tags(FLIGHTS, made.digest, "2013-09", f"{prefix}evidence.json")
    number = stores.registry.register(model, run, stores.objects.url(prefix + MANIFEST), tags).version
    version = version_of_bundle(stores.registry, model, number, made.digest, advice="-")
    who = LedgerWho(run="by hand", attempt=1, host="here")
    promote(
        stores,
        EventLog(),
        Promotion(version=version, spec=load_project(FLIGHTS).serving, who=who, why="-", evidence={}),
    )
    return number


def forget(server: MlflowServer, model: str) -> None:
    """Others of the session are to find no version, and no champion."""
    from mlflow.tracking import MlflowClient

    MlflowClient(server.uri, server.uri).delete_registered_model(model)


@pytest.mark.mlflow
def test_command_gives_traffic_and_alias_back_and_writes_down_who_and_why(installation: Installation) -> None:
    old, new = installation.old, installation.new
    assert (installation.champion(), installation.response().version) == (new, str(new))
    done = installation.rolled_back()
    assert done.returncode == EXIT_DONE, done.stderr
    response = installation.response()
    assert (response.version, response.digest) == (str(old), bundle(1).digest)
    assert response.predictions == bundle(1).golden().predictions
    assert installation.champion() == old
    assert installation.ledger()[-1] == (LedgerEvent.PROMOTED, "ann", "wrong since noon", old)
    again = installation.rolled_back()
    assert again.returncode == ConfigurationError.exit_code
    said = json.loads(again.stderr.splitlines()[-1])["message"]
    assert said.startswith(f"Version {old} of model '{installation.model}' is champion by a rollback already")
    assert (installation.champion(), len(installation.ledger())) == (old, 3)


@pytest.mark.mlflow
@pytest.mark.parametrize("event", ["started beside the old one", "traffic moved"])
def test_command_that_is_killed_is_called_again_and_ends_well(installation: Installation, event: str) -> None:
    old, new = installation.old, installation.new
    # It cannot move the alias while others have their turn, so that it is killed before it does.
    with mutex(installation.stores.objects, mutex_prefix(FLIGHTS, installation.model)):
        installation.killed_once_it_said(event)
    assert (installation.champion(), len(installation.ledger())) == (new, 2)
    done = installation.rolled_back()
    assert done.returncode == EXIT_DONE, done.stderr
    assert (installation.champion(), installation.response().version) == (old, str(old))
    assert [version for _, _, _, version in installation.ledger()] == [old, new, old]
    status = installation.stores.serving.status(FLIGHTS, installation.model)
    assert status.candidate is None
