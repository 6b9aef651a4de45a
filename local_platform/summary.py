"""What came of it, read from the receipts."""

from collections.abc import Sequence

from include.steps.evidence import Evidence
from local_platform.console import seconds
from local_platform.served_model import Answer, Identity
from local_platform.services import Settings
from local_platform.year_job import Done


def text(settings: Settings, done: Done, evidence: Evidence, identity: Identity, answers: Sequence[Answer]) -> str:
    """The summary, as lines."""
    lines = [f"{identity.model} {identity.version} {identity.digest} {settings.state.root} {evidence.project}"]
    lines += [f"  {answer.row:<50} {answer.probability:.3f}  {answer.happened}" for answer in answers]
    lines += [f"  {name:<40} {seconds(value)}" for name, value in done.stages.items()]
    return "\n".join(lines)
