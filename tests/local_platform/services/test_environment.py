import json
import os
from pathlib import Path
from urllib.request import proxy_bypass

import pytest

from include.contract import settings
from local_platform.locations import BUNDLE_VARIABLE, REPOSITORY, STATE_VARIABLE, State
from local_platform.services import credentials, environment
from local_platform.services.ports import Ports

PORTS = Ports(airflow=20001, mlflow=20002, serving=20003)


def test_a_step_finds_all_stores_below_the_state_folder(tmp_path: Path) -> None:
    variables = environment.step_environment(State(tmp_path), PORTS)
    assert variables[settings.TABLES_URI] == f"file://{tmp_path}/data/tables"
    assert variables[settings.OBJECTS_URI] == f"file://{tmp_path}/data/objects"
    assert variables[settings.TRACKING_URI] == "http://127.0.0.1:20002"
    assert variables[settings.SERVING_URI] == f"unix://{tmp_path}/sockets/serving.sock"


def test_airflow_is_configured_by_its_environment_alone(tmp_path: Path) -> None:
    made = credentials.provide(tmp_path / "secrets")
    variables = environment.airflow_environment(State(tmp_path), PORTS, made)
    (bundle,) = json.loads(variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert bundle["kwargs"] == {"path": str(REPOSITORY)}
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,viewer:viewer"
    assert variables["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] == str(made.passwords_file)
    assert not set(made.passwords.values()) & set(variables.values())


def test_another_bundle_is_run_if_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUNDLE_VARIABLE, str(tmp_path / "copy"))
    variables = environment.airflow_environment(State(tmp_path), PORTS, credentials.provide(tmp_path / "secrets"))
    assert str(tmp_path / "copy") in variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"]
    assert variables["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(tmp_path / "copy" / "plugins")


def test_a_person_s_own_settings_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CORE__EXECUTOR", "MLFLOW_TRACKING_URI", "KUBECONFIG", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "elsewhere")
    variables = environment.platform_environment(State(tmp_path))
    assert "elsewhere" not in variables.values()
    assert variables[STATE_VARIABLE] == str(tmp_path)


def test_few_tasks_run_at_once() -> None:
    assert 2 <= environment.parallelism() <= 8


def test_loopback_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intranet.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    environment.bypass_proxies()
    assert os.environ["no_proxy"] == "intranet.example,127.0.0.1,localhost"
    assert proxy_bypass("127.0.0.1:8080")
    monkeypatch.delenv("NO_PROXY")
