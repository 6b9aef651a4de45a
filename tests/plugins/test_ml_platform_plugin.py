import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_airflow_executes_the_plugin_file_and_no_other() -> None:
    code = (
        "import sys; from airflow import plugins_manager; plugins, errors = plugins_manager._get_plugins(); "
        "print([plugin.name for plugin in plugins if plugin.name == 'ml_platform'], errors, "
        "[name for name in ('step', 'outcome', 'preloading', 'data', 'stores') if name in sys.modules])"
    )
    environment = os.environ | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['ml_platform'] {} []"
