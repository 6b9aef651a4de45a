"""
The Airflow plugin of the platform: the only file of this folder that Airflow executes by itself.

A listener that lets tasks of the local executor start quickly: ``plugins/preloading.py``. Self-contained at import:
Airflow loads plugins before the bundle's root is importable.
"""

import sys
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

ROOT = Path(__file__).resolve().parent.parent
PRELOADING = "plugins.preloading"


class PreloadListener:
    """Preloads in the scheduler, checks in each task's process."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Called by Airflow when one of its processes begins its work."""
        # At this moment a job does not yet say of which kind it is.
        if type(component).__name__ == "Job" and sys.argv[1:2] == ["scheduler"]:
            sys.path.append(str(ROOT))
            try:
                from plugins.preloading import preload

                preload(ROOT)
            finally:
                sys.path.remove(str(ROOT))
        elif PRELOADING in sys.modules:
            sys.modules[PRELOADING].drop_if_stale()


class MlPlatformPlugin(AirflowPlugin):
    """What the platform adds to Airflow."""

    name = "ml_platform"
    listeners = [PreloadListener()]  # noqa: RUF012 (as Airflow declares it)
