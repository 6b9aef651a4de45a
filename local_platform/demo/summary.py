"""The summary of ``make run``, read from the receipts of its runs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from include.contract.layout import outcomes_prefix
from include.contract.measures import Interval
from include.contract.receipt import Outcome, OutcomeStatus, Receipt
from include.contract.results import EvaluateResults, ScoreResults, TrainResults
from include.contract.step_names import StepName
from include.runtime.receipts import ReceiptReader
from local_platform.console import seconds
from local_platform.demo.airflow_api import AirflowApi, DagRun
from local_platform.demo.served_model import Identity, Prediction
from local_platform.demo.year_job import Done
from local_platform.services.services import Settings

METRIC = "roc_auc"
Blocks = Mapping[str, Iterable[str]]
"""Lines by their title."""


class Findings:
    """The outcomes and receipts of some runs."""

    def __init__(self, evidence: ReceiptReader, runs: Iterable[DagRun]) -> None:
        self._evidence = evidence
        last: dict[tuple[str, str, str], Outcome] = {}
        for run in runs:
            for key in evidence.objects.list(outcomes_prefix(evidence.project, run.run)):
                outcome = Outcome.model_validate_json(evidence.objects.get(key))
                # Keys come sorted and hold the attempt: a later one replaces an earlier one.
                last[run.run, outcome.step, outcome.subject] = outcome
        self.outcomes = list(last.values())

    def receipts(self, step: StepName) -> list[Receipt]:
        """Receipts of this step's outcomes, sorted by subject."""
        outcomes = [outcome for outcome in self.outcomes if outcome.step == step.value]
        receipts = [self._evidence.receipt(key) for outcome in outcomes for key in outcome.receipt_keys]
        return sorted(receipts, key=lambda receipt: receipt.subject)

    def skipped(self) -> list[Outcome]:
        """Outcomes of steps that had nothing to do; the message states why."""
        return [outcome for outcome in self.outcomes if outcome.status is OutcomeStatus.SKIPPED]

    def reused(self) -> tuple[int, int]:
        """Number of steps whose work was already done, and number of all steps."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        return counts[OutcomeStatus.ALREADY_DONE], len(self.outcomes)


@dataclass(frozen=True)
class Facts:
    """What the summary is made of."""

    done: Done
    evidence: ReceiptReader
    identity: Identity
    predictions: Sequence[Prediction]


def nothing(_api: AirflowApi, _done: Done, _evidence: ReceiptReader) -> Blocks:
    """No blocks beyond those that every summary has."""
    return {}


def all_runs(done: Done) -> list[DagRun]:
    """The runs of all DAGs."""
    return [run for runs in done.runs.values() for run in runs]


def text(settings: Settings, facts: Facts, more: Blocks, up_again: str = "") -> str:
    """
    The summary, as lines.

    :param more: blocks of one kind of installation, shown before the links.
    :param up_again: the command that makes the services reachable again, if they end after the summary: shown instead
        of addresses that would be dead. Empty if they go on.
    """
    findings = Findings(facts.evidence, all_runs(facts.done))
    blocks: dict[str, Iterable[str]] = {
        "Data": _data(findings),
        "Model": [*_quality(findings), *_scored(findings), *_served(facts.identity)],
        "Predictions over HTTP": _predictions(facts.predictions),
        "Time": _time(facts.done, findings),
        **more,
        "Where to look": [*_links(findings, facts.evidence), *_addresses(settings, up_again)],
    }
    lines: list[str] = []
    for title, block in blocks.items():
        lines += ["", title, *(f"  {line}" for line in block)]
    return "\n".join(lines[1:])


def interval(metric: Interval | None) -> str:
    """A metric with its confidence interval: ``0.742 (0.735 to 0.749)``."""
    if metric is None or metric.value is None:
        return "not known"
    inside = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    return f"{metric.value:.3f}{inside}"


def _data(findings: Findings) -> Iterator[str]:
    ingested, validated = findings.receipts(StepName.INGEST), findings.receipts(StepName.VALIDATE)
    rows = sum(receipt.row_counts.get("rows_kept", 0) for receipt in ingested)
    quarantined = sum(receipt.row_counts.get("quarantined", 0) for receipt in validated)
    partitions = sorted({receipt.partition for receipt in validated})
    yield f"{'rows in':<20} {rows:,} of {len(partitions)} partitions, {partitions[0]} to {partitions[-1]}"
    for source in sorted({receipt.subject.partition("/")[2] for receipt in ingested} - {""}):
        of_source = [receipt for receipt in ingested if receipt.subject.endswith(f"/{source}")]
        yield f"{'':<20} {source}: {sum(receipt.row_counts.get('rows_kept', 0) for receipt in of_source):,}"
    yield f"{'quarantined':<20} {quarantined:,}"
    for receipt in findings.receipts(StepName.TRAIN):
        features = receipt.results_of(TrainResults).features
        yield f"{'features':<20} {len(features.kept)} kept, {len(features.dropped)} dropped"
        for one in features.dropped:
            yield f"{'':<20} dropped {one.feature}: {one.why}"


def _quality(findings: Findings) -> Iterator[str]:
    for receipt in findings.receipts(StepName.EVALUATE):
        results = receipt.results_of(EvaluateResults)
        metrics = results.metrics
        where = f"on {', '.join(results.test)}, {receipt.row_counts['test']:,} held-out rows"
        yield f"{'AUC of the model':<20} {interval(metrics['model'].get(METRIC))} {where}"
        yield f"{'of the baseline':<20} {interval(metrics['baseline'].get(METRIC))}"
        champion = results.champion
        if champion and champion.compared:
            value = interval(metrics["champion"].get(METRIC))
            yield f"{'of the champion':<20} {value}, version {champion.version}, champion until then"
        else:
            yield f"{'of the champion':<20} {champion.why if champion else 'there was none'}"
        for reason in results.reasons:
            yield f"{'not promoted':<20} {reason}"


def _scored(findings: Findings) -> Iterator[str]:
    for receipt in findings.receipts(StepName.SCORE):
        observed = receipt.results_of(ScoreResults).observed
        if observed:
            rows = f"{receipt.row_counts['rows']:,} rows scored as of the beginning of the month"
            yield f"{f'AUC of {receipt.partition}':<20} {interval(observed.roc_auc)}, {rows}"


def _served(identity: Identity) -> Iterator[str]:
    yield f"{'served':<20} {identity.model} version {identity.version}"
    yield f"{'digest':<20} {identity.digest}"


def _predictions(predictions: Sequence[Prediction]) -> Iterator[str]:
    for prediction in predictions:
        observed = "yes" if prediction.observed else "no"
        yield f"{prediction.row:<44} {prediction.target}: probability {prediction.probability:.3f}, observed {observed}"


def _time(done: Done, findings: Findings) -> Iterator[str]:
    for name, value in done.stages.items():
        yield f"{name:<34} {seconds(value):>12}"
    reused, total = findings.reused()
    yield f"{reused} of {total} steps found their work already done, and that it is unchanged"
    for outcome in findings.skipped():
        yield f"{outcome.step} {outcome.subject} had nothing to do: {outcome.message}"


def _links(findings: Findings, evidence: ReceiptReader) -> Iterator[str]:
    for receipt in findings.receipts(StepName.EVALUATE):
        card = receipt.results_of(EvaluateResults).reports["html"]
        yield f"{'model card':<20} {evidence.objects.url(card)}"
    for receipt in findings.receipts(StepName.VALIDATE)[-1:]:
        names = [state.name for state in receipt.outputs if state.name.endswith(".html")]
        yield from (f"{'validation':<20} {evidence.objects.url(name)}" for name in names)
    for receipt in findings.receipts(StepName.PROFILE)[-1:]:
        names = [state.name for state in receipt.outputs if state.name.endswith(".html")]
        yield from (f"{'profile':<20} {evidence.objects.url(name)}" for name in names)


def _addresses(settings: Settings, up_again: str) -> Iterator[str]:
    if up_again:
        yield f"Airflow, MLflow, served model: '{up_again}' makes them reachable again and prints their addresses"
    else:
        yield f"{'Airflow':<20} {settings.ports.airflow_url}"
        yield f"{'MLflow':<20} {settings.ports.mlflow_url}"
        yield f"{'served model':<20} {settings.ports.serving_url}/docs"
    yield f"{'logs':<20} {settings.state.logs}"
