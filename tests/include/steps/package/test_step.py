import json
import pickle
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.contract.layout import bundle_prefix
from include.contract.receipt import OutcomeStatus
from include.contract.results import GoldenProof, PackageResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError, TemporaryError
from include.governance.versions import sealed_version, version_tags
from include.packaging.files import BUNDLE_FILES, MANIFEST, Bundle
from include.steps.package import step as package
from include.stores.artifacts.memory import MemoryArtifacts
from include.stores.objects.bundles import sealed_bundle
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import ModelVersion
from tests.support.worlds.release_world import ReleaseWorld
from tests.support.worlds.training_world import PROJECT


@pytest.fixture
def world(toy: Path) -> ReleaseWorld:
    return ReleaseWorld.filled()


@pytest.fixture(scope="module")
def trained(toy: Path) -> ReleaseWorld:
    world = ReleaseWorld.filled()
    world.evaluated()
    return world


@pytest.fixture
def evaluated(trained: ReleaseWorld) -> ReleaseWorld:
    return trained.copy()


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle's proof takes a process of its own; one test has it, and ``test_proof``."""
    monkeypatch.setattr("include.steps.package.step.prove", lambda _bundle: GoldenProof(golden_rows=6, direct=True))


def versions(world: ReleaseWorld) -> list[int]:
    return [version.version for version in world.registry.versions(world.model, {})]


def spoil(world: ReleaseWorld, artifact: str, content: bytes) -> None:
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    run_id = registry.find_run(PROJECT, {})
    assert run_id is not None
    registry.artifact_path(run_id, artifact).write_bytes(content)


def test_evaluated_model_becomes_a_sealed_bundle_and_one_version(evaluated: ReleaseWorld) -> None:
    state = evaluated.packaged()
    registered = evaluated.registry.version(evaluated.model, 1)
    assert registered is not None
    version = sealed_version(registered)
    assert (version.digest, version.partition, version.run_id) == (state.digest, "2024-05", state.run_id)
    bundle = sealed_bundle(evaluated.objects, PROJECT, state.digest)
    assert bundle.manifest.predict == "predict_proba"
    assert bundle.manifest.positive_class == 1
    assert evaluated.champion() is None
    evidence = json.loads(evaluated.objects.get(registered.tags["platform.evidence"]))
    assert evidence["trained"]["tables"]
    assert evidence["trained"]["features"] == [column.name for column in bundle.manifest.inputs]
    assert any("model_card" in report for report in evidence["trained"]["reports"])


@pytest.mark.usefixtures("unproved")
def test_second_time_is_already_done(evaluated: ReleaseWorld) -> None:
    evaluated.packaged()
    assert evaluated.run(StepName.PACKAGE).outcome.status is OutcomeStatus.ALREADY_DONE
    assert versions(evaluated) == [1]


@pytest.mark.usefixtures("unproved")
def test_step_killed_before_its_receipt_takes_the_version_that_it_had_made(evaluated: ReleaseWorld) -> None:
    first = evaluated.packaged()
    evaluated.forget(StepName.PACKAGE)
    assert evaluated.packaged() == first
    assert versions(evaluated) == [1]


@pytest.mark.usefixtures("unproved")
def test_another_run_of_the_same_training_has_the_same_version(evaluated: ReleaseWorld) -> None:
    first = evaluated.packaged()
    assert evaluated.packaged(run="r2") == first
    assert versions(evaluated) == [1]


@pytest.mark.usefixtures("unproved")
@pytest.mark.usefixtures("unproved")
def test_twins_that_package_in_the_same_moment_register_one_version(
    evaluated: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = MemoryRegistry.register

    def slowly(self: MemoryRegistry, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        threading.Event().wait(0.3)  # long enough for a twin to have looked for versions and found none
        return register(self, model, run_id, source, tags)

    monkeypatch.setattr(MemoryRegistry, "register", slowly)
    bundle = sealed_bundle(evaluated.objects, PROJECT, evaluated.packaged().digest)
    evaluated.registry._versions.clear()  # type: ignore[attr-defined]
    tags = version_tags(PROJECT, bundle.digest, "2024-05", "evidence.json")
    context = evaluated.context(StepName.PACKAGE)
    with ThreadPoolExecutor(3) as pool:
        registered = list(pool.map(lambda _twin: package._register(context, bundle, tags), range(3)))
    assert [version.version for version in registered] == [1, 1, 1]
    assert versions(evaluated) == [1]


def test_version_that_is_gone_from_the_registry_is_registered_again(evaluated: ReleaseWorld) -> None:
    evaluated.packaged()
    registry = evaluated.registry
    assert isinstance(registry, MemoryRegistry)
    registry._versions.clear()
    assert evaluated.run(StepName.PACKAGE).outcome.status is OutcomeStatus.DONE
    assert len(versions(evaluated)) == 1


def test_model_that_failed_a_gate_is_not_packaged(world: ReleaseWorld) -> None:
    gates = tuple(gate.model_copy(update={"at_least": 0.999}) for gate in world.spec.evaluation.gates[:1])
    evaluation = world.spec.evaluation.model_copy(update={"gates": gates})
    world.spec = world.spec.model_copy(update={"evaluation": evaluation})
    world.evaluated()
    error = world.failing(StepName.PACKAGE)
    assert isinstance(error, NothingToDoError)
    assert "is not promoted: " in str(error)
    assert "0.999" in str(error)
    assert versions(world) == []


def test_run_that_was_not_evaluated_is_refused(world: ReleaseWorld) -> None:
    with pytest.raises(DataRejectedError, match="has no receipt of step 'train'"):
        raise world.failing(StepName.PACKAGE)
    world.done(StepName.TRAIN)
    with pytest.raises(DataRejectedError, match=r"has no receipt of step 'evaluate'.*same --run"):
        raise world.failing(StepName.PACKAGE)


@pytest.mark.parametrize("artifact", ["model/model.skops", "model/MLmodel", "golden/golden.json"])
def test_artifact_that_was_changed_is_refused_by_name(evaluated: ReleaseWorld, artifact: str) -> None:
    spoil(evaluated, artifact, b"changed")
    with pytest.raises(DataRejectedError, match=f"Artifact {artifact} .* was not opened"):
        raise evaluated.failing(StepName.PACKAGE)
    assert versions(evaluated) == []
    assert evaluated.objects.list(f"bundles/{PROJECT}/") == []


def test_pickle_instead_of_the_model_is_not_opened(evaluated: ReleaseWorld, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    spoil(evaluated, "model/model.skops", pickle.dumps(Trap()))
    with pytest.raises(DataRejectedError, match=r"model/model\.skops .* is a pickle"):
        raise evaluated.failing(StepName.PACKAGE)
    assert not (tmp_path / "sprung").exists()


def test_bundle_that_does_not_prove_itself_is_neither_sealed_nor_registered(
    evaluated: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_bundle: object) -> None:
        raise DataRejectedError("answers its golden rows differently")

    monkeypatch.setattr("include.steps.package.step.prove", refuse)
    with pytest.raises(DataRejectedError, match="differently"):
        raise evaluated.failing(StepName.PACKAGE)
    assert versions(evaluated) == []
    assert evaluated.objects.list(f"bundles/{PROJECT}/") == []


@pytest.mark.usefixtures("unproved")
def test_sealed_file_that_is_damaged_is_named_and_nothing_registered(evaluated: ReleaseWorld) -> None:
    state = evaluated.packaged()
    evaluated.forget(StepName.PACKAGE)
    prefix = bundle_prefix(PROJECT, state.digest)
    assert {key.removeprefix(prefix) for key in evaluated.objects.list(prefix)} > {*BUNDLE_FILES, MANIFEST}
    evaluated.objects.contents[f"{prefix}model.skops"] = b"torn"
    with pytest.raises(DataRejectedError, match=r"model\.skops of bundle"):
        raise evaluated.failing(StepName.PACKAGE)


@pytest.mark.usefixtures("unproved")
def test_registry_that_fails_leaves_a_sealed_bundle_that_the_next_try_registers(
    evaluated: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise TemporaryError("MLflow does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(evaluated.registry, "register", fail)
        assert isinstance(evaluated.failing(StepName.PACKAGE), TemporaryError)
    assert evaluated.packaged(attempt=2).version == 1
    assert versions(evaluated) == [1]


@pytest.fixture
def pushing(evaluated: ReleaseWorld, unproved: None) -> ReleaseWorld:
    """A world with a registry for artifacts."""
    evaluated.artifacts = MemoryArtifacts()
    return evaluated


def artifact(world: ReleaseWorld) -> str | None:
    registered = world.registry.version(world.model, 1)
    return None if registered is None else sealed_version(registered).artifact


def pushed(world: ReleaseWorld) -> dict[str, Bundle]:
    assert isinstance(world.artifacts, MemoryArtifacts)
    return world.artifacts.bundles


def test_bundle_is_pushed_and_its_reference_is_in_receipt_tags_and_evidence(pushing: ReleaseWorld) -> None:
    pushing.evaluated()
    receipt = pushing.done(StepName.PACKAGE)
    ((reference, bundle),) = pushed(pushing).items()
    results = receipt.results_of(PackageResults)
    assert results.artifact == reference == artifact(pushing)
    assert results.digest == bundle.digest
    assert json.loads(pushing.objects.get(results.evidence))["artifact"] == reference
    assert pushing.run(StepName.PACKAGE).outcome.status is OutcomeStatus.ALREADY_DONE


@pytest.mark.usefixtures("unproved")
def test_without_an_artifact_registry_nothing_is_pushed_or_reported(evaluated: ReleaseWorld) -> None:
    evaluated.evaluated()
    receipt = evaluated.done(StepName.PACKAGE)
    assert receipt.results_of(PackageResults).artifact is None
    assert artifact(evaluated) is None


def test_artifact_that_was_lost_is_pushed_again(pushing: ReleaseWorld) -> None:
    pushing.packaged()
    pushed(pushing).clear()
    assert pushing.run(StepName.PACKAGE, attempt=2).outcome.status is OutcomeStatus.DONE
    assert artifact(pushing) in pushed(pushing)
    assert versions(pushing) == [1]


def test_version_from_before_there_was_a_registry_gets_its_artifact(pushing: ReleaseWorld) -> None:
    pushing.artifacts = None
    pushing.packaged()
    pushing.artifacts = MemoryArtifacts()
    assert pushing.run(StepName.PACKAGE, attempt=2).outcome.status is OutcomeStatus.DONE
    assert artifact(pushing) in pushed(pushing)
    assert versions(pushing) == [1]


def test_artifact_registry_that_does_not_respond_leaves_no_version(
    pushing: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise TemporaryError("The registry does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryArtifacts, "push", fail)
        assert isinstance(pushing.failing(StepName.PACKAGE), TemporaryError)
    assert versions(pushing) == []
    assert pushing.packaged(attempt=2).version == 1
