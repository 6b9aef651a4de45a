"""Receipts of other steps: looked up by what they sealed or by their run, never by being the latest."""

from collections.abc import Iterator
from dataclasses import dataclass

from include.contract.layout import attempt_prefix, outcomes_prefix, receipts_prefix
from include.contract.receipt import Outcome, Receipt, TableState
from include.contract.step_names import StepName
from include.errors import UnreadableFormatError
from include.runtime.events import EventLog
from include.stores.objects.protocol import ObjectStore


@dataclass(frozen=True)
class ReceiptReader:
    """Reads receipts and outcomes of one project."""

    objects: ObjectStore
    project: str
    events: EventLog | None = None
    """Where receipts that are left out are logged."""

    def receipt(self, key: str) -> Receipt:
        """
        Read one receipt.

        :raises UnreadableFormatError: if another version of the platform wrote it, in a format that this one lacks.
        :raises DataRejectedError: if it does not exist or is damaged.
        """
        return Receipt.from_json(self.objects.get(key), key)

    def receipts(self, step: StepName, subject: str) -> Iterator[Receipt]:
        """
        All receipts of one step for one subject, whatever their inputs and code.

        One of a format that this version does not read is left out with a warning: another may serve the caller.
        """
        for key in self.objects.list(receipts_prefix(self.project, step.value, subject)):
            if key.count("/") == receipts_prefix(self.project, step.value, subject).count("/"):
                try:
                    receipt = self.receipt(key)
                except UnreadableFormatError as error:
                    self._warn(key, error)
                    continue
                yield receipt

    def _warn(self, key: str, error: UnreadableFormatError) -> None:
        if self.events is not None:
            self.events.warn("a receipt of another format was left out", receipt=key, reason=str(error))

    def sealed(self, step: StepName, state: TableState) -> Receipt | None:
        """The receipt by which a step sealed exactly this content of a table's partition; None if there is none."""
        for receipt in self.receipts(step, state.partition):
            for output in receipt.outputs:
                if isinstance(output, TableState) and (output.name, output.digest) == (state.name, state.digest):
                    return receipt
        return None

    def outcome(self, step: StepName, run: str, subject: str, attempt: int) -> Outcome | None:
        """How one attempt ended; None if it has not ended."""
        keys = self.objects.list(attempt_prefix(self.project, run, step.value, subject, attempt))
        return Outcome.model_validate_json(self.objects.get(keys[-1])) if keys else None

    def of_run(self, step: StepName, run: str, subject: str) -> Receipt | None:
        """The receipt that a step of this run ended with; None if none of its attempts was done."""
        prefix = f"{outcomes_prefix(self.project, run, step.value)}{subject}/"
        # The last attempt first: keys hold its number with leading zeros, and lists are sorted.
        for key in reversed(self.objects.list(prefix)):
            if key.count("/") != prefix.count("/") + 1:
                continue  # of a subject below this one
            outcome = Outcome.model_validate_json(self.objects.get(key))
            if outcome.receipt is not None:
                return self.receipt(outcome.receipt)
        return None
