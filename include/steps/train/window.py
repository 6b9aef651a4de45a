"""The partitions of a training, split by time into train, validation and test."""

from include.contract.partition import Partition
from include.contract.results import TrainingWindow
from include.errors import ConfigurationError
from include.spec.project import ProjectSpec

OPTION = "window"


def training_window(spec: ProjectSpec, last: Partition, given: str | None) -> TrainingWindow:
    """
    The window that ends with a partition.

    :param last: the newest partition of the window; it belongs to the test.
    :param given: the command's option, a number of partitions; if None, the spec's ``split.window``.
    :raises ConfigurationError: if it is no number, leaves nothing to train on, or exceeds the project's time.
    """
    count = _count(spec, given)
    partitions = last.window(count)
    first = Partition(spec.start, spec.grain)
    if partitions[0] < first:
        longest = next((number for number in range(count) if last.shift(-number) <= first), 0) + 1
        message = (
            f"The training window of {count} partitions up to {last} begins with {partitions[0]}, but project "
            f"{spec.name} begins with {first}."
        )
        cure = f" Give --{OPTION} {longest} or less, or a later partition." if last >= first else ""
        raise ConfigurationError(message + cure)
    if spec.end is not None and last.start >= spec.end:
        message = f"Partition {last} lies after the end of project {spec.name} ({spec.end}). Choose an earlier one."
        raise ConfigurationError(message)
    names = tuple(str(partition) for partition in partitions)
    test, validation = spec.split.test, spec.split.validation
    return TrainingWindow(
        train=names[: -test - validation], validation=names[-test - validation : -test], test=names[-test:]
    )


def _count(spec: ProjectSpec, given: str | None) -> int:
    if given is None:
        return spec.split.window
    least = spec.split.validation + spec.split.test + 1
    # isdecimal alone would take digits of other scripts, which int() reads as well.
    if not (given.isascii() and given.isdecimal()) or int(given) < least:
        message = (
            f"--{OPTION} is '{given}'; a whole number of partitions is expected, at least {least}: "
            f"{spec.split.validation} for validation, {spec.split.test} for the test and one to train on."
        )
        raise ConfigurationError(message)
    return int(given)
