"""The values for the Airflow chart: each key is one that the chart has, and together they run this bundle."""

import importlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_platform.locations import REPOSITORY
from tests.helm_values.list_chart_keys import paths

HERE = Path(__file__).parent
FILE = REPOSITORY / "helm-values" / "airflow.yaml"
MAPPING = REPOSITORY / "helm-values" / "cluster" / "base" / "statsd" / "mapping.yaml"
README = REPOSITORY / "helm-values" / "README.md"
COMPONENTS = ("scheduler", "triggerer", "dagProcessor", "apiServer", "migrateDatabaseJob", "createUserJob")
SECTIONS_OF_CHART = frozenset({"scheduler", "triggerer", "dagProcessor"})
NAMES_OF_AIRFLOW = (
    "scheduler_heartbeat", "dag_processor_heartbeat", "triggerer_heartbeat", "dag_processing.import_errors",
    "dag_processing.total_parse_time", "executor.open_slots", "executor.queued_tasks", "executor.running_tasks",
    "scheduler.tasks.starving", "triggers.blocked_main_thread", "triggers.failed",
    "task_instances_without_heartbeats_killed", "pool.open_slots.default_pool", "pool.deferred_slots.default_pool",
    "ti.finish.flights_data.ingest.success", "dagrun.duration.success.flights_data",
    "dagrun.duration.failed.flights_data",
)  # fmt: skip
Values = dict[str, Any]


@pytest.fixture(scope="module")
def values() -> Values:
    read: Values = yaml.safe_load(FILE.read_text())
    return read


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (REPOSITORY / "Dockerfile").read_text()


def test_every_key_is_one_of_the_chart(values: Values) -> None:
    lines = (HERE / "chart_keys.txt").read_text().splitlines()
    known = {line for line in lines if not line.startswith("#")}
    free = tuple(line.removesuffix("*") for line in known if line.endswith(".*"))
    given = {path.removesuffix(".*") for path in paths(values)}
    assert given
    assert sorted(path for path in given if path not in known and not path.startswith(free)) == []


def test_the_list_is_of_the_version_that_is_installed(values: Values) -> None:
    [version] = re.findall(r"--version (\S+)", FILE.read_text())
    assert f"chart {version}," in (HERE / "chart_keys.txt").read_text().splitlines()[0]


def test_the_list_of_keys_stops_where_values_are_free() -> None:
    given = {"config": {"core": {"a": 1}}, "labels": {}, "images": {"airflow": {"tag": None}}, "env": []}
    assert list(paths(given)) == ["labels.*", "images.airflow.tag", "env"]


def test_every_option_is_one_of_airflow(values: Values) -> None:
    from airflow.configuration import retrieve_configuration_description

    known = retrieve_configuration_description(include_providers=False)
    for section, options in values["config"].items():
        for option in options:
            assert option in known[section]["options"], f"{section}.{option}"


def test_the_bundle_and_plugins_are_where_the_image_has_them(values: Values, dockerfile: str) -> None:
    [variable] = re.findall(r"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=\"(.*)\"\n", dockerfile)
    assert values["dagProcessor"]["dagBundleConfigList"] == json.loads(variable.replace('\\"', '"'))
    assert f"AIRFLOW__CORE__PLUGINS_FOLDER={values['config']['core']['plugins_folder']} " in dockerfile
    [bundle] = values["dagProcessor"]["dagBundleConfigList"]
    assert f"WORKDIR {bundle['kwargs']['path']}\n" in dockerfile
    module, _, name = bundle["classpath"].rpartition(".")
    assert hasattr(importlib.import_module(module), name)
    assert "PYTHONPATH" not in {variable["name"] for variable in values["env"]}


def test_airflow_and_the_image_are_pinned(values: Values) -> None:
    [version] = re.findall(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert values["airflowVersion"] == values["defaultAirflowTag"] == version
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", values["images"]["airflow"]["digest"])
    assert "tag" not in values["images"]["airflow"]


def test_classes_that_the_options_name_exist(values: Values) -> None:
    module, _, name = values["config"]["core"]["auth_manager"].rpartition(".")
    found = importlib.util.find_spec(module)
    assert found is not None
    assert f"class {name}(" in Path(str(found.origin)).read_text()


def test_pods_are_started_in_the_namespace_of_the_steps(values: Values) -> None:
    [connection] = [one for one in values["env"] if one["name"] == "AIRFLOW_CONN_KUBERNETES_DEFAULT"]
    assert json.loads(connection["value"])["extra"] == {"in_cluster": True, "namespace": "ml-steps"}
    assert yaml.safe_load(values["extraEnvFrom"]) == [{"configMapRef": {"name": "ml-settings"}}]


def test_the_chart_makes_no_role_and_no_account(values: Values, base: list[Values]) -> None:
    assert values["rbac"]["create"] is False
    assert values["allowPodLaunching"] is False
    accounts = {component: values[component]["serviceAccount"] for component in COMPONENTS}
    assert all(account["create"] is False for account in accounts.values())
    names = {component: account["name"] for component, account in accounts.items()}
    assert {component for component, name in names.items() if name == "ml-airflow"} == {"scheduler", "triggerer"}
    assert {component for component, name in names.items() if name == "ml-airflow-api"} == {"apiServer"}
    there = {
        one["metadata"]["name"]
        for one in base
        if one["kind"] == "ServiceAccount" and one["metadata"]["namespace"] == "ml-platform"
    }
    assert set(names.values()) <= there


def test_who_calls_steps_off_has_the_key_of_s3(values: Values) -> None:
    assert values["apiServer"]["env"] == values["scheduler"]["env"]


def test_all_containers_pass_the_restricted_standard(values: Values) -> None:
    pod, container = values["securityContexts"]["pod"], values["securityContexts"]["containers"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    own = [one["securityContext"] for one in values["apiServer"]["extraInitContainers"]]
    for security in (container, *own):
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
    assert [mount["mountPath"] for mount in values["volumeMounts"]] == ["/tmp"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_a_size(values: Values, component: str) -> None:
    resources = values[component]["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert "memory" in resources["limits"]


def test_probes_and_groomers_ask_for_nothing_that_only_the_official_image_has(values: Values) -> None:
    for section in SECTIONS_OF_CHART:
        assert values[section]["logGroomerSidecar"] == {"enabled": False}
        command = " ".join(values[section]["livenessProbe"]["command"])
        assert command
        assert "/entrypoint" not in command
    assert values["scheduler"]["startupProbe"]["command"] == values["scheduler"]["livenessProbe"]["command"]


def test_metrics_go_to_the_exporter_and_each_has_a_name_there(values: Values) -> None:
    metrics = values["config"]["metrics"]
    assert metrics["statsd_host"] == "ml-statsd-exporter.ml-platform.svc"
    allowed = [re.compile(pattern) for pattern in metrics["metrics_allow_list"].split(",")]
    mappings = yaml.safe_load(MAPPING.read_text())["mappings"]
    kept = [one["match"] for one in mappings if one.get("action") != "drop"]
    globs = [re.compile(re.escape(match).replace(r"\*", "[^.]+")) for match in kept if match.startswith("airflow.")]
    for name in NAMES_OF_AIRFLOW:
        assert any(pattern.search(name) for pattern in allowed), name
        assert any(glob.fullmatch(f"{metrics['statsd_prefix']}.{name}") for glob in globs), name
    for pattern in allowed:
        assert any(pattern.search(name) for name in NAMES_OF_AIRFLOW), pattern.pattern
    for name in ("dag_processing.processes", "scheduler.scheduler_loop_duration", "ti.start.flights_data.ingest"):
        assert not any(pattern.search(name) for pattern in allowed), name


def test_what_the_platform_has_of_its_own_is_off(values: Values) -> None:
    for section in ("statsd", "redis", "flower", "pgbouncer", "postgresql"):
        assert values[section] == {"enabled": False}
    assert values["executor"] == "LocalExecutor"
    assert values["workers"]["celery"]["persistence"]["enabled"] is False


def test_secrets_are_named_and_explained(values: Values) -> None:
    named = {values["data"]["metadataSecretName"], values["fernetKeySecretName"]}
    named |= {values["apiSecretKeySecretName"], values["jwtSecretName"]}
    named |= {one["valueFrom"]["secretKeyRef"]["name"] for one in values["scheduler"]["env"]}
    named |= {volume["secret"]["secretName"] for volume in values["apiServer"]["extraVolumes"] if "secret" in volume}
    readme = README.read_text()
    assert [name for name in sorted(named) if f"`{name}`" not in readme] == []
    for word in ("fernetKey", "apiSecretKey", "jwtSecret", "webserverSecretKey"):
        assert word not in values
    for key in ("connection", "fernet-key", "api-secret-key", "jwt-secret"):
        assert f"`{key}`" in readme
