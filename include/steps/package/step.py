"""
The package step: a judged model becomes a sealed bundle and exactly one registered version.

The model's files come from the run in the registry, and each is compared with the digest that the train step wrote into
its receipt. The bundle is proved in a fresh process on the golden rows, pushed as an OCI artifact where the
installation has a registry for them, sealed in the object store, read back, and only then registered. A version is
found again by the bundle's digest, so a step that was killed after it registered one takes that one.

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
from include.steps.package.evaluated_model import JudgedModel, judged_model
from include.steps.package.golden_check import prove
from include.stores.artifacts.protocol import ArtifactStore
from include.stores.objects.bundles import sealed_bundle
from include.stores.registry.protocol import ModelVersion, RegistryStore

ARTIFACTS = {MODEL: "model/model.skops", MLMODEL: "model/MLmodel", GOLDEN: "golden/golden.json"}
"""Where the train step keeps each file of a bundle among the run's artifacts."""


def plan(context: StepContext) -> Plan:
    """
    The packaging of the model that this run trained and judged.

    :raises DataRejectedError: if the run has no trained and judged model.
    :raises NothingToDoError: if the model did not pass its gates; the message says which.
    """
    judged = judged_model(context)
    return Plan(
        inputs=(judged.model,),
        parameters={"trained": judged.train.identity, "judged": judged.evaluate.identity},
        work=partial(_work, context, judged),
        still_there=partial(_is_registered, context),
    )


def _work(context: StepContext, judged: JudgedModel, _identity: str) -> Work:
    bundle = _bundle(context, judged)
    context.events.emit("bundle made", digest=bundle.digest)
    proof = prove(bundle)
    context.events.emit("bundle proved", golden_rows=len(bundle.golden().predictions))
    pushed = _push(context, bundle)
    artifact, push_seconds = pushed if pushed is not None else (None, None)
    files, evidence = _seal(context, judged, bundle, artifact)
    tags = version_tags(context.spec.name, bundle.digest, judged.train.partition, evidence.name)
    version = _register(context, bundle, tags | (artifact_tags(artifact) if artifact is not None else {}))
    context.events.emit("version registered", model=version.name, version=version.version)
    state = ModelState(name=version.name, run_id=version.run_id, version=version.version, digest=bundle.digest)
    results = PackageResults(
        model=version.name,
        version=version.version,
        digest=bundle.digest,
        evidence=evidence.name,
        proof=proof,
        gates=judged.judgement.gates,
        artifact=artifact,
        push_seconds=push_seconds,
    )
    return Work(
        outputs=(*files, evidence, state), row_counts={"golden": len(bundle.golden().predictions)}, results=results
    )


def _bundle(context: StepContext, judged: JudgedModel) -> Bundle:
    """The bundle of the run's files, each compared with the digest in the train step's receipt before it is parsed."""
    contents = {name: _fetch(context.stores.registry, judged, artifact) for name, artifact in ARTIFACTS.items()}
    model = load_model(contents[MODEL], f"{ARTIFACTS[MODEL]} of run {judged.model.run_id}")
    signature, positive_class = judged.trained.signature, judged.trained.target.positive_class
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    description: dict[str, Any] = {
        "project": context.spec.name,
        "model": judged.model.name,
        "run_id": judged.model.run_id,
        "predict": method,
        "positive_class": positive_class if method == "predict_proba" else None,
        "inputs": signature.inputs,
        "outputs": signature.outputs,
    }
    return seal_bundle(description, contents)


def _fetch(registry: RegistryStore, judged: JudgedModel, artifact: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        content = registry.download(judged.model.run_id, artifact, Path(folder)).read_bytes()
    found, expected = hashlib.sha256(content).hexdigest(), judged.file_digest(artifact)
    if found != expected:
        kind = " and is a pickle" if content[:1] == b"\x80" else ""
        message = (
            f"Artifact {artifact} of run {judged.model.run_id} has sha256 {found}{kind}, the train step wrote "
            f"{expected}: it was not opened. Train again with another --run."
        )
        raise DataRejectedError(message)
    return content


def _push(context: StepContext, bundle: Bundle) -> tuple[str, float] | None:
    """Push the bundle where there is a registry for it: its reference, and how many seconds that took."""
    artifacts = context.stores.artifacts
    if artifacts is None:
        return None
    began = time.monotonic()
    reference = artifacts.push(bundle)
    seconds = round(time.monotonic() - began, 3)
    context.events.emit("artifact pushed", artifact=reference, seconds=seconds)
    return reference, seconds


def _seal(
    context: StepContext, judged: JudgedModel, bundle: Bundle, artifact: str | None
) -> tuple[list[ObjectState], ObjectState]:
    objects, prefix = context.stores.objects, bundle_prefix(context.spec.name, bundle.digest)
    contents = {**{name: bundle.contents[name] for name in BUNDLE_FILES}, MANIFEST: bundle.manifest.content()}
    files = [objects.seal(prefix + name, content) for name, content in contents.items()]
    sealed_bundle(objects, context.spec.name, bundle.digest)
    evidence = ModelEvidence(
        bundle=bundle.digest,
        run=context.command.run,
        trained=judged.described(),
        files={name: file.sha256 for name, file in bundle.manifest.files.items()},
        artifact=artifact,
    )
    content = canonical_json(evidence.model_dump(mode="json"))
    return files, objects.seal(f"{prefix}{hashlib.sha256(content).hexdigest()[:16]}-{EVIDENCE}", content)


def _register(context: StepContext, bundle: Bundle, tags: dict[str, str]) -> ModelVersion:
    """The one version of this bundle: an earlier try or a twin of this step may have registered it already."""
    registry, objects, name = context.stores.registry, context.stores.objects, bundle.manifest.model
    with mutex(objects, mutex_prefix(context.spec.name, name)):
        known = list(registry.versions(name, identifying_tags(context.spec.name, bundle.digest)))
        if known:
            return _tagged(registry, known[0], tags)
        source = objects.url(bundle_prefix(context.spec.name, bundle.digest) + MANIFEST)
        return registry.register(name, bundle.manifest.run_id, source, tags)


def _tagged(registry: RegistryStore, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
    """An older version with the artifact that it has now: it may have been registered before there was a registry."""
    artifact = sealed_version(replace(version, tags=tags)).artifact
    if artifact is not None and sealed_version(version).artifact != artifact:
        registry.set_tags(version.name, version.version, artifact_tags(artifact))
    return version


def _is_registered(context: StepContext, outputs: tuple[State, ...]) -> bool:
    """Whether the version is there and, where there is a registry for artifacts, its artifact is."""
    states = [state for state in outputs if isinstance(state, ModelState) and state.version is not None]
    for state in states:
        found = context.stores.registry.version(state.name, state.version or 0)
        if found is None or not identifying_tags(context.spec.name, state.digest).items() <= found.tags.items():
            return False
        if context.stores.artifacts is not None and not _is_pushed(context.stores.artifacts, found):
            return False
    return bool(states)


def _is_pushed(artifacts: ArtifactStore, version: ModelVersion) -> bool:
    artifact = sealed_version(version).artifact
    return artifact is not None and artifacts.exists(artifact)
