"""
The package step: an evaluated model becomes a sealed bundle and exactly one registered version.

The model's files come from its MLflow run, and each is compared with the digest that the train step wrote into its
receipt. The bundle is proved in a new process on the golden rows, pushed as an OCI artifact if the installation has an
artifact registry, sealed in the object store, read back, and only then registered. A version is identified by the
bundle's digest, so that a step that was killed after the registration uses the version that it had registered.

**The receipt**, which deploy reads:

- ``inputs``: the ``ModelState`` of the train step.
- ``outputs``: the sealed files of the bundle and its evidence as ``ObjectState``, and one ``ModelState``: the
  registered model's name, the run's id, the version, and the digest of the bundle.
- ``results``: :class:`~include.contract.results.PackageResults`.
"""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from include.contract.layout import bundle_prefix, mutex_prefix
from include.contract.model_evidence import ModelEvidence
from include.contract.receipt import ModelState, ObjectState, State, canonical_json
from include.contract.results import PackageResults
from include.coordination.mutex import mutex
from include.errors import DataRejectedError
from include.governance.versions import EVIDENCE, artifact_tags, identifying_tags, sealed_version, version_tags
from include.packaging.files import BUNDLE_FILES, GOLDEN, MANIFEST, MLMODEL, MODEL, Bundle, load_model, seal_bundle
from include.runtime.context import Plan, StepContext, Work
from include.steps.package.evaluated_model import EvaluatedModel, evaluated_model
from include.steps.package.golden_check import prove
from include.stores.artifacts.protocol import ArtifactStore
from include.stores.objects.bundles import sealed_bundle
from include.stores.registry.protocol import ModelVersion, RegistryStore

ARTIFACTS = {MODEL: "model/model.skops", MLMODEL: "model/MLmodel", GOLDEN: "golden/golden.json"}
"""Where the train step keeps each file of a bundle among the run's artifacts."""


def plan(context: StepContext) -> Plan:
    """
    The packaging of the model that this run trained and evaluated.

    :raises DataRejectedError: if the run has no trained and evaluated model.
    :raises NothingToDoError: if the model did not pass its gates; the message names them.
    """
    evaluated = evaluated_model(context)
    return Plan(
        inputs=(evaluated.model,),
        # The key "judged" is part of the identity of older receipts: another word would package each model again.
        parameters={"trained": evaluated.train.identity, "judged": evaluated.evaluate.identity},
        work=partial(_work, context, evaluated),
        still_there=partial(_is_registered, context),
    )


def _work(context: StepContext, evaluated: EvaluatedModel, _identity: str) -> Work:
    bundle = _bundle(context, evaluated)
    context.events.emit("bundle made", digest=bundle.digest)
    # Proved before it is pushed, sealed or registered: a bundle that fails leaves nothing behind that could be served.
    proof = prove(bundle)
    context.events.emit("bundle proved", golden_rows=len(bundle.golden().predictions))
    pushed = _push(context, bundle)
    artifact, push_seconds = pushed if pushed is not None else (None, None)
    files, evidence = _seal(context, evaluated, bundle, artifact)
    tags = version_tags(context.spec.name, bundle.digest, evaluated.train.partition, evidence.name)
    version = _register(context, bundle, tags | (artifact_tags(artifact) if artifact is not None else {}))
    context.events.emit("version registered", model=version.name, version=version.version)
    state = ModelState(name=version.name, run_id=version.run_id, version=version.version, digest=bundle.digest)
    results = PackageResults(
        model=version.name,
        version=version.version,
        digest=bundle.digest,
        evidence=evidence.name,
        proof=proof,
        gates=evaluated.evaluation.gates,
        artifact=artifact,
        push_seconds=push_seconds,
    )
    return Work(
        outputs=(*files, evidence, state), row_counts={"golden": len(bundle.golden().predictions)}, results=results
    )


def _bundle(context: StepContext, evaluated: EvaluatedModel) -> Bundle:
    """The bundle of the run's files, each compared with the digest in the train step's receipt before it is parsed."""
    contents = {name: _fetch(context.stores.registry, evaluated, artifact) for name, artifact in ARTIFACTS.items()}
    model = load_model(contents[MODEL], f"{ARTIFACTS[MODEL]} of run {evaluated.model.run_id}")
    signature, positive_class = evaluated.trained.signature, evaluated.trained.target.positive_class
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    description: dict[str, Any] = {
        "project": context.spec.name,
        "model": evaluated.model.name,
        "run_id": evaluated.model.run_id,
        "predict": method,
        "positive_class": positive_class if method == "predict_proba" else None,
        "inputs": signature.inputs,
        "outputs": signature.outputs,
    }
    return seal_bundle(description, contents)


def _fetch(registry: RegistryStore, evaluated: EvaluatedModel, artifact: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        content = registry.download(evaluated.model.run_id, artifact, Path(folder)).read_bytes()
    actual, expected = hashlib.sha256(content).hexdigest(), evaluated.file_digest(artifact)
    if actual != expected:
        kind = " and is a pickle" if content[:1] == b"\x80" else ""
        message = (
            f"Artifact {artifact} of run {evaluated.model.run_id} has sha256 {actual}{kind}, the train step wrote "
            f"{expected}: it was not opened. Train again with another --run."
        )
        raise DataRejectedError(message)
    return content


def _push(context: StepContext, bundle: Bundle) -> tuple[str, float] | None:
    """
    Push the bundle, if the installation has an artifact registry.

    :return: the reference of the artifact, and how many seconds the push took; None without an artifact registry.
    """
    artifacts = context.stores.artifacts
    if artifacts is None:
        return None
    began = time.monotonic()
    reference = artifacts.push(bundle)
    seconds = round(time.monotonic() - began, 3)
    context.events.emit("artifact pushed", artifact=reference, seconds=seconds)
    return reference, seconds


def _seal(
    context: StepContext, evaluated: EvaluatedModel, bundle: Bundle, artifact: str | None
) -> tuple[list[ObjectState], ObjectState]:
    objects, prefix = context.stores.objects, bundle_prefix(context.spec.name, bundle.digest)
    contents = {**{name: bundle.contents[name] for name in BUNDLE_FILES}, MANIFEST: bundle.manifest.content()}
    files = [objects.seal(prefix + name, content) for name, content in contents.items()]
    sealed_bundle(objects, context.spec.name, bundle.digest)  # reads the files back and compares their digests
    evidence = ModelEvidence(
        bundle=bundle.digest,
        run=context.command.run,
        trained=evaluated.described(),
        files={name: file.sha256 for name, file in bundle.manifest.files.items()},
        artifact=artifact,
    )
    content = canonical_json(evidence.model_dump(mode="json"))
    return files, objects.seal(f"{prefix}{hashlib.sha256(content).hexdigest()[:16]}-{EVIDENCE}", content)


def _register(context: StepContext, bundle: Bundle, tags: dict[str, str]) -> ModelVersion:
    """The one version of this bundle, registered by this attempt or by an earlier or concurrent one."""
    # MLflow has no unique constraint on tags: without the mutex two attempts would register two versions.
    registry, objects, name = context.stores.registry, context.stores.objects, bundle.manifest.model
    with mutex(objects, mutex_prefix(context.spec.name, name)):
        known = list(registry.versions(name, identifying_tags(context.spec.name, bundle.digest)))
        if known:
            return _tagged(registry, known[0], tags)
        source = objects.url(bundle_prefix(context.spec.name, bundle.digest) + MANIFEST)
        return registry.register(name, bundle.manifest.run_id, source, tags)


def _tagged(registry: RegistryStore, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
    """A version with the tags of its artifact: it may be older than the installation's artifact registry."""
    artifact = sealed_version(replace(version, tags=tags)).artifact
    if artifact is not None and sealed_version(version).artifact != artifact:
        registry.set_tags(version.name, version.version, artifact_tags(artifact))
    return version


def _is_registered(context: StepContext, outputs: tuple[State, ...]) -> bool:
    """Whether the version exists and, if the installation has an artifact registry, its artifact."""
    states = [state for state in outputs if isinstance(state, ModelState) and state.version is not None]
    for state in states:
        version = context.stores.registry.version(state.name, state.version or 0)
        if version is None or not identifying_tags(context.spec.name, state.digest).items() <= version.tags.items():
            return False
        if context.stores.artifacts is not None and not _is_pushed(context.stores.artifacts, version):
            return False
    return bool(states)


def _is_pushed(artifacts: ArtifactStore, version: ModelVersion) -> bool:
    artifact = sealed_version(version).artifact
    return artifact is not None and artifacts.exists(artifact)
