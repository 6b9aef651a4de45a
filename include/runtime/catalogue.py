"""The words of the CLI: what each step does, and its options. Imports no step."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.contract.step_names import StepName


@dataclass(frozen=True)
class StepOption:
    """One option of a step beyond project, partition, run and attempt."""

    name: str
    meaning: str
    required: bool = False
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class StepEntry:
    """One word of the CLI."""

    summary: str
    options: tuple[StepOption, ...] = ()


_WINDOW = StepOption("window", "partitions in the training window, counted back from --partition (default: the spec's)")
STEPS: Mapping[StepName, StepEntry] = {
    StepName.INGEST: StepEntry(
        "read the sources' rows of one partition into their raw tables",
        (StepOption("source", "one source of the spec (default: all that have no task of their own)"),),
    ),
    StepName.VALIDATE: StepEntry("check every source of one partition; good rows to validated, bad ones to quarantine"),
    StepName.PROFILE: StepEntry("describe one partition, and how far it drifted from the ones before"),
    StepName.FEATURES: StepEntry("join the sources, compute the features, refuse leaks"),
    StepName.TRAIN: StepEntry("train a model on the window that ends with the partition", (_WINDOW,)),
    StepName.EVALUATE: StepEntry("evaluate the trained model on the holdout of its window", (_WINDOW,)),
    StepName.PACKAGE: StepEntry("seal the model as a servable bundle, prove it, register it", (_WINDOW,)),
    StepName.DEPLOY: StepEntry(
        "serve the packaged model beside the old one, check it, switch",
        (_WINDOW, StepOption("promote", "whether the model may become champion (default: yes)", choices=("yes", "no"))),
    ),
    StepName.SCORE: StepEntry("predict one partition with the champion as of its beginning"),
}
