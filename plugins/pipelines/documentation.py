"""The documentation of a DAG in Markdown, generated from the spec and shown in Airflow's web UI."""

from collections.abc import Iterable, Sequence

from include.contract.command import task_name
from include.contract.step_names import StepName
from include.spec.checks import Check
from include.spec.project import ProjectSpec
from include.spec.sources import SourceSpec
from include.spec.training import GateSpec, SliceGateSpec


def data_doc(spec: ProjectSpec) -> str:
    """Documentation of the data DAG: sources, columns and their meaning, checks, features."""
    parts = [_head(spec, "Reads one partition of every source, validates it, describes it and computes features.")]
    parts += [_source(name, source) for name, source in spec.sources.items()]
    features = spec.feature_set
    rows = [(name, feature.type.value, feature.meaning) for name, feature in features.columns.items()]
    parts.append(f"## Features: {features.name}, version {features.version}\n\n{features.description}\n")
    parts.append(_table(("feature", "type", "meaning"), rows))
    return "\n".join(parts)


def training_doc(spec: ProjectSpec) -> str:
    """Documentation of the training DAG: target, model, window, gates."""
    model, split, target = spec.model, spec.split, spec.target
    gates = [_gate(gate) for gate in spec.evaluation.gates]
    gates += [f"in every slice: {_gate(gate)}" for gate in spec.evaluation.slice_gates]
    parts = f"the last {split.test} for test, the {split.validation} before for validation, the others for training"
    return "\n".join(
        [
            _head(spec, "Trains on a window of partitions, evaluates, packages and serves the model."),
            f"**Target** `{target.name}`: {target.meaning}\n",
            f"**Model** `{model.name}`: {model.description}\n",
            f"**Window** {split.window} partitions, split by time: {parts}.\n",
            "**Gates**: a model that fails one is not promoted, and the run ends with its last steps skipped.\n",
            *[f"- {gate}" for gate in gates],
        ]
    )


def scoring_doc(spec: ProjectSpec) -> str:
    """Documentation of the scoring DAG."""
    what = f"Predicts one partition with the champion of model `{spec.model.name}` as of that partition's beginning."
    return _head(spec, what)


def maintenance_doc() -> str:
    """Documentation of the maintenance DAG."""
    return (
        "# Maintenance\n\n"
        "`reap_pods` deletes pods of steps that no task waits for: those whose task has ended or does not exist in "
        "Airflow, and those of an earlier attempt. The leases of steps that still run in them are revoked first, so "
        "that they publish nothing. Pods of live tasks are kept; pods that have ended are kept for an hour, for "
        "people to inspect; pods without the platform's labels are never touched.\n\n"
        "If this DAG is paused, lost pods run until their own time limit.\n"
    )


def _head(spec: ProjectSpec, what: str) -> str:
    owner = f"{spec.owner.team} <{spec.owner.email}>"
    partitions = f"Partitions: one {spec.grain}, {spec.timezone}."
    return f"# {spec.title}\n\n{spec.description}\n\n{what}\n\nOwner: {owner}. {partitions}\n"


def _source(name: str, source: SourceSpec) -> str:
    rows = [(column, spec.type.value, spec.meaning, spec.known) for column, spec in source.columns.items()]
    checks = [f"- {_check(check)}" for check in source.checks]
    key = ", ".join(f"`{column}`" for column in source.key)
    task = f" Ingested by the task `{task_name(StepName.INGEST.value, name)}`." if source.own_task else ""
    return "\n".join(
        [
            f"## Source: {name}\n\n{source.description}\n\nKey: {key}.{task}\n",
            _table(("column", "type", "meaning", "known"), rows),
            *(["Checks:\n", *checks, ""] if checks else []),
        ]
    )


def _check(check: Check) -> str:
    columns = ", ".join(f"`{column}`" for column in check.columns_used())
    given = check.model_dump(exclude_none=True, exclude={"rule", "level", "meaning", "column", "column_a", "column_b"})
    limits = ", ".join(f"{name} {value}" for name, value in given.items())
    rule = check.rule.removeprefix("expect_").replace("_", " ")
    tail = f" ({limits})" if limits else ""
    return f"{columns}: {rule}{tail}; {check.level}{f'. {check.meaning}' if check.meaning else ''}"


def _gate(gate: GateSpec | SliceGateSpec) -> str:
    if gate.at_least is not None:
        return f"{gate.metric} at least {gate.at_least}"
    if gate.at_most is not None:
        return f"{gate.metric} at most {gate.at_most}"
    return (
        f"{gate.metric} better than the {gate.better_than} by {gate.by}" if isinstance(gate, GateSpec) else gate.metric
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    # A pipe in a cell (a regular expression has them) would begin the next one.
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
