"""The services of this machine beside PostgreSQL: forwarded ports of MLflow and the served model, and Airflow."""

import sys
from collections.abc import Callable

from include.spec.load import load_project
from local_platform.cluster import manifests
from local_platform.cluster.environment import Cluster, airflow_environment
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import KUBECONFIG
from local_platform.demo.year_job import PROJECT
from local_platform.services import environment, services
from local_platform.services.probes import responds
from local_platform.services.services import Service, Settings

SERVING_PORT = 8080
FORWARD = "local_platform.cluster.forward"


def mlflow_forward(settings: Settings, kubectl: Kubectl) -> Service:
    """A port of loopback that is forwarded to MLflow."""
    url = settings.ports.mlflow_url
    target = (manifests.PLATFORM, manifests.MLFLOW_NAME, manifests.MLFLOW_PORT)
    return _forward(
        settings, kubectl, "forward-mlflow", target, settings.ports.mlflow, lambda: responds(f"{url}/health")
    )


def model_forward(settings: Settings, kubectl: Kubectl) -> Service:
    """A port of loopback that is forwarded to the served model, as soon as there is one."""
    # Names of Services are DNS labels, which have no underscore.
    name = load_project(PROJECT).model.name.replace("_", "-")
    target = (manifests.SERVING, name, SERVING_PORT)
    return _forward(settings, kubectl, "forward-model", target, settings.ports.serving, lambda: True)


def airflow(settings: Settings, cluster: Cluster) -> list[Service]:
    """Airflow's processes; deferred tasks need a triggerer."""
    url, variables = settings.ports.airflow_url, airflow_environment(settings, cluster)
    return [*services.airflow_processes(url, variables), services.triggerer(url, variables)]


def migration(settings: Settings, cluster: Cluster) -> Service:
    """The service that makes or migrates Airflow's database."""
    return services.migrate(airflow_environment(settings, cluster))


def _forward(
    settings: Settings,
    kubectl: Kubectl,
    name: str,
    target: tuple[str, str, int],
    port: int,
    is_ready: Callable[[], bool],
) -> Service:
    namespace, service, service_port = target
    variables = environment.platform_environment(settings.state)
    return Service(
        name=name,
        words=(
            sys.executable, "-m", FORWARD, "--namespace", namespace, "--service", service,
            "--port", str(port), "--target", str(service_port),
        ),
        variables=variables | {KUBECONFIG: kubectl.kubeconfig},
        is_ready=is_ready,
        grace_seconds=2.0,
    )  # fmt: skip
