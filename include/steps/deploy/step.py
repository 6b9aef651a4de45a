"""
The deploy step: starts the packaged version beside the old one, checks it, moves the traffic, and makes it champion.

The order is: fetch the bundle and compare it with its digest, start a process beside the old one, replay the golden
rows over HTTP, move the traffic, replay them over the public port, move the alias (if it still names what was read
before), write the ledger entry. A failure at any point restores the traffic and the champion, removes the new process,
and is written into the ledger. A step that was killed is run again and skips each part that is done already.

**The receipt**: ``inputs`` the package step's ``ModelState``; ``outputs`` that and the ledger entry; ``results``
:class:`~include.contract.results.DeployResults`.
"""

import socket
from functools import partial

from include.contract.partition import Partition
from include.contract.receipt import ModelState, ObjectState, Receipt, State
from include.contract.results import DeployResults, PackageResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError, TemporaryError
from include.governance.ledger import LedgerWho
from include.governance.promotion import Promotion, placement, promote, serving_settings
from include.governance.rollout import record_of_version, retried_predictions
from include.governance.versions import SealedVersion, champion, version_of_bundle
from include.packaging.files import PARITY_TOLERANCE, largest_difference
from include.runtime.context import Plan, StepContext, Work

_OPTION = "promote"


def plan(context: StepContext) -> Plan:
    """
    The deployment of the version that this run packaged.

    :raises NothingToDoError: if the run is not to promote it, or the champion was trained on newer data.
    :raises DataRejectedError: if the run has no packaged version, or the version is not sealed.
    """
    if context.options.get(_OPTION, "yes") == "no":
        raise NothingToDoError(f"Run '{context.command.run}' is not to promote its model (--promote no).")
    package, state = _packaged(context)
    version = version_of_bundle(
        context.stores.registry, state.name, state.version or 0, state.digest, advice="Run the package step again."
    )
    _refuse_older(context, version)
    spec = context.spec.serving
    share = placement(spec, version).model_dump(mode="json")
    return Plan(
        inputs=(state,),
        parameters={"settings": serving_settings(spec).model_dump(mode="json"), "placement": share},
        work=partial(_work, context, version, package),
        still_there=partial(_is_deployed, context, version),
    )


def _work(context: StepContext, version: SealedVersion, package: Receipt, _identity: str) -> Work:
    command, packaged = context.command, package.results_of(PackageResults)
    promotion = Promotion(
        version=version,
        spec=context.spec.serving,
        who=LedgerWho(run=command.run, attempt=command.attempt, host=socket.gethostname()),
        why=f"trained on data up to {version.partition}; gates passed",
        evidence={
            "package": package.identity,
            "document": packaged.evidence,
            "gates": [gate.model_dump(mode="json") for gate in packaged.gates],
        },
    )
    promoted = promote(context.stores, context.events, promotion)
    results = DeployResults(
        model=version.model,
        version=version.version,
        digest=version.digest,
        before=None if promoted.before is None else promoted.before.version,
        public_url=promoted.rolled_out.public_url,
        ledger=promoted.entry.name,
        bundle_by=promoted.rolled_out.bundle_by,
    )
    return Work(outputs=(_state(version), promoted.entry), results=results)


def _packaged(context: StepContext) -> tuple[Receipt, ModelState]:
    command = context.command
    receipt = context.receipts.of_run(StepName.PACKAGE, command.run, command.subject)
    states = [state for state in receipt.outputs if isinstance(state, ModelState)] if receipt else []
    if receipt is None or not states:
        message = f"Run '{command.run}' has no packaged model for {command.subject}"
        raise DataRejectedError(f"{message}; run the package step first with the same --run and --partition.")
    return receipt, states[0]


def _refuse_older(context: StepContext, version: SealedVersion) -> None:
    current = champion(context.stores.registry, version.model)
    if current is None or current.version == version.version:
        return
    # A training of an older window that ends late, or a backfill, must not replace the model of newer data.
    grain = context.spec.grain
    ours, theirs = Partition.parse(version.partition, grain), Partition.parse(current.partition, grain)
    if theirs > ours or (theirs == ours and current.version > version.version):
        message = (
            f"Version {version.version} of model '{version.model}' was trained on data up to {ours}; the champion, "
            f"version {current.version}, on data up to {theirs}: a champion is not replaced by an older model."
        )
        raise NothingToDoError(message)


def _is_deployed(context: StepContext, version: SealedVersion, outputs: tuple[State, ...]) -> bool:
    """Whether the version is champion, has the traffic, and predicts the golden rows as the training did."""
    # The alias alone does not prove it: a server may have been restarted with another bundle, or be gone.
    current = champion(context.stores.registry, version.model)
    if current is None or current.version != version.version or not any(isinstance(s, ObjectState) for s in outputs):
        return False
    serving, bundle = context.stores.serving, version.bundle(context.stores.objects)
    status, golden = serving.status(version.project, version.model), bundle.golden()
    if status.active is None or not record_of_version(version).is_same(status.active):
        return False
    try:
        response = retried_predictions(serving, status.public_url, golden.rows)
    except TemporaryError:
        return False
    same = largest_difference(golden.predictions, response.predictions) <= PARITY_TOLERANCE
    return same and response.digest == version.digest


def _state(version: SealedVersion) -> ModelState:
    return ModelState(name=version.model, run_id=version.run_id, version=version.version, digest=version.digest)
