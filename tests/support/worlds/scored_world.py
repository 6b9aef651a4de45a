"""Promoted models in the project of ``training_world``: bundles, their evidence and ledger entries."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from include.contract.layout import bundle_prefix
from include.contract.model_evidence import ModelEvidence, ReceiptIdentities, TrainedOn
from include.contract.receipt import ModelState, canonical_json
from include.governance.ledger import Ledger, LedgerEvent, LedgerNote, LedgerVersion, LedgerWho
from include.modeling.pipeline import ModelFunction
from include.modeling.rows import model_types, to_frame
from include.packaging.files import GOLDEN, MANIFEST, MLMODEL, MODEL, Bundle, dump_model, seal_bundle
from include.steps.train.golden import golden_bytes
from tests.support.worlds.training_world import PROJECT, World

COLUMNS = ("place", "size", "riders", "gap", "noise")


def sealed(world: World, learned_up_to: str, columns: tuple[str, ...] = COLUMNS) -> Bundle:
    """A model fitted on one partition, sealed as a bundle."""
    rows = world.tables.read(world.table, learned_up_to)
    features, target = to_frame(rows.select(list(columns))), rows.column("late").to_numpy()
    model = ModelFunction(world.spec)
    fitted = model.fitted({"max_iter": 12}, features, target)
    types = model_types(features)
    golden = features.head(3)
    bundle = seal_bundle(
        {
            "project": PROJECT,
            "model": world.spec.model.name,
            "run_id": f"run-{learned_up_to}",
            "predict": "predict_proba",
            "positive_class": 1,
            "inputs": [{"name": name, "type": kind} for name, kind in types.items()],
            "outputs": [],
        },
        {
            MODEL: dump_model(fitted),
            GOLDEN: golden_bytes(golden, model.probabilities(fitted, golden)),
            MLMODEL: b"flavors: {}\n",
        },
    )
    prefix = bundle_prefix(PROJECT, bundle.digest)
    for name, content in {**bundle.contents, MANIFEST: bundle.manifest.content()}.items():
        world.objects.create(prefix + name, content)
    return bundle


def promote(
    world: World, version: int, learned_up_to: str, event: LedgerEvent = LedgerEvent.PROMOTED, **changes: Any
) -> ModelState:
    """Let a version become champion, as the deploy step writes it down."""
    bundle = sealed(world, learned_up_to, changes.get("columns", COLUMNS))
    trained = TrainedOn(
        partition=learned_up_to,
        tables=(),
        features=(),
        receipts=ReceiptIdentities(train="t", evaluate="e"),
        validation=(),
        code="c",
        gates=(),
        reports=(),
    )
    document = ModelEvidence(bundle=bundle.digest, run="r", trained=trained, files={})
    content = canonical_json(document.model_dump(mode="json"))
    key = f"{bundle_prefix(PROJECT, bundle.digest)}{hashlib.sha256(content).hexdigest()[:16]}-evidence.json"
    world.objects.create(key, content)
    note = LedgerNote(
        event=event,
        who=LedgerWho(run="r", attempt=1, host="here"),
        why="gates passed",
        before=None,
        after=LedgerVersion(version=version, digest=bundle.digest),
        evidence={"document": key},
    )
    Ledger(world.objects, PROJECT, world.spec.model.name).append(note, datetime.now(UTC))
    return ModelState(name=world.spec.model.name, run_id=bundle.manifest.run_id, version=version, digest=bundle.digest)
