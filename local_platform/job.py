"""The year job."""

from local_platform.console import Console
from local_platform.services import Settings


def run(settings: Settings, console: Console) -> int:
    """Do it."""
    console.say(settings.ports.airflow_url)
    return 0
