"""The services' settings: all are environment variables; no configuration file is written."""

import json
import os
from collections.abc import Mapping

from include.contract import settings
from local_platform.bootstrap import clean_environment
from local_platform.locations import STATE_VARIABLE, State, bundle
from local_platform.services.credentials import USERS, Credentials
from local_platform.services.ports import LOOPBACK, Ports

BUNDLE = "ml-platform"
LOCK_SECONDS = 60
"""How long Airflow's processes wait for SQLite's lock and for the API server, on a machine that may be busy."""


def platform_environment(state: State) -> dict[str, str]:
    """Variables of every process of the platform."""
    kept = {name: value for name, value in clean_environment().items() if not name.startswith(("AIRFLOW_", "MLFLOW_"))}
    # With it Airflow's triggerer looks for deferred pods in the wrong cluster.
    kept.pop("KUBECONFIG", None)
    return kept | {STATE_VARIABLE: str(state.root), "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def bypass_proxies() -> None:
    """Let this process and its children reach services on loopback without a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        kept = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*kept, LOOPBACK, "localhost"]))


def step_environment(state: State, ports: Ports) -> dict[str, str]:
    """Variables of a step: the addresses of the stores."""
    defaults = {name: pattern.format(state=state.root) for name, pattern in settings.LOCAL_DEFAULTS.items()}
    return defaults | {
        settings.TRACKING_URI: ports.mlflow_url,
        settings.SERVING_URI: f"unix://{state.socket('serving')}",
        settings.FORK_SERVER: str(state.socket("fork_server")),
        settings.EXECUTION: "local",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def mlflow_environment() -> dict[str, str]:
    """A small MLflow server: one worker, no job runner beside it."""
    # With one worker and without the job runner the server takes 0.4 GB instead of 1.6 GB.
    return {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def airflow_environment(state: State, ports: Ports, credentials: Credentials) -> dict[str, str]:
    """
    A small Airflow: SQLite, local executor, fast polling, loopback only.

    An interrupted start leaves runs in the database; the scheduler looks for orphans often, so that they go on.
    """
    local_bundle = {
        "name": BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(bundle())},
    }
    values = {
        "core.executor": "LocalExecutor",
        "core.parallelism": str(parallelism()),
        "core.load_examples": "False",
        "core.plugins_folder": str(bundle() / "plugins"),
        # Tasks report to the API server, never to the database (Airflow 3).
        "core.execution_api_server_url": f"{ports.airflow_url}/execution/",
        "core.fernet_key": credentials.keys["fernet"],
        "core.auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "core.simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "core.simple_auth_manager_passwords_file": str(credentials.passwords_file),
        "database.sql_alchemy_conn": f"sqlite:///{state.airflow / 'airflow.db'}?timeout={LOCK_SECONDS}",
        "api.host": LOOPBACK,
        "api.port": str(ports.airflow),
        "api.base_url": ports.airflow_url,
        # Each worker is a process that imports Airflow; the steps need the cores and the memory.
        "api.workers": "1",
        "api.secret_key": credentials.keys["session"],
        "api_auth.jwt_secret": credentials.keys["jwt"],
        "dag_processor.dag_bundle_config_list": json.dumps([local_bundle]),
        "dag_processor.parsing_processes": "1",
        "dag_processor.min_file_process_interval": "60",
        "logging.base_log_folder": str(state.airflow / "logs"),
        # Default 1 s, which is a second between one task and the next; shorter takes CPU from the steps.
        "scheduler.scheduler_idle_sleep_time": "0.25",
        # Defaults 300 s each: tasks of a killed start would wait that long before they run again.
        "scheduler.orphaned_tasks_check_interval": "15",
        "scheduler.task_instance_heartbeat_timeout": "60",
        # Default 5 s, which a busy machine exceeds while the API server waits for SQLite's lock.
        "workers.execution_api_timeout": str(LOCK_SECONDS),
        "metrics.statsd_on": "False",
        "usage_data_collection.enabled": "False",
    }
    return airflow_variables(values) | {"AIRFLOW_HOME": str(state.airflow)}


def airflow_variables(values: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings, given as ``section.key``, by the variables that carry them."""
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": value for name, value in values.items()}


def parallelism() -> int:
    """Tasks that run at once: one for each core, because steps compute; at most 8, because of memory; at least 2."""
    return max(2, min(8, os.cpu_count() or 1))
