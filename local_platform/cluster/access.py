"""Airflow's kubeconfig: the cluster of the person's own kubeconfig, with the token of Airflow's service account."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.manifests import AIRFLOW_ACCOUNT, AIRFLOW_TOKEN, PLATFORM, STEPS

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.2


def write_kubeconfig(kubectl: Kubectl, path: Path) -> None:
    """
    Write Airflow's kubeconfig, readable by its owner alone.

    The token is valid as long as its Secret, which is deleted with the namespace. A token with an expiry time would
    expire during a run.

    :raises ClusterError: if the cluster has made no token after 30 s.
    """
    config = kubeconfig(_own_cluster(kubectl), _token(kubectl))
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(config, file)
    partial.replace(path)


def kubeconfig(cluster: dict[str, Any], token: str) -> dict[str, Any]:
    """
    A kubeconfig of one cluster and one user; JSON is YAML as well.

    :param cluster: address and certificate, as in another kubeconfig.
    """
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": AIRFLOW_ACCOUNT,
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": AIRFLOW_ACCOUNT, "user": {"token": token}}],
        "contexts": [
            {"name": AIRFLOW_ACCOUNT, "context": {"cluster": "cluster", "user": AIRFLOW_ACCOUNT, "namespace": STEPS}}
        ],
    }


def _own_cluster(kubectl: Kubectl) -> dict[str, Any]:
    # kubectl merges the files that KUBECONFIG lists, and --flatten puts certificates inline.
    config = json.loads(kubectl.call("config", "view", "--raw", "--minify", "--flatten", "--output", "json"))
    cluster: dict[str, Any] = config["clusters"][0]["cluster"]
    return cluster


def _token(kubectl: Kubectl) -> str:
    # A controller fills the Secret in some time after it was created.
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        data = kubectl.get("secret", AIRFLOW_TOKEN, "--namespace", PLATFORM).get("data", {})
        if data.get("token"):
            return base64.b64decode(data["token"]).decode()
        time.sleep(POLL_SECONDS)
    message = f"The cluster made no token for service account {AIRFLOW_ACCOUNT} within {WAIT_SECONDS:.0f} s."
    raise ClusterError(f"{message} Look at 'kubectl describe secret {AIRFLOW_TOKEN} -n {PLATFORM}'.")
