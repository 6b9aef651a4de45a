"""The user of MLflow as whom the steps log in: an ordinary one, who may change what it made and nothing else."""

import base64
import json
import urllib.error
import urllib.request

from local_platform.cluster.backing_services.databases import MLFLOW_AUTH
from local_platform.cluster.backing_services.passwords import MLFLOW_ADMIN, MLFLOW_STEPS, Passwords
from local_platform.cluster.errors import ClusterError

TIMEOUT_SECONDS = 30.0
UNAUTHORIZED, NOT_FOUND = 401, 404


def provide(url: str, passwords: Passwords) -> None:
    """
    Have the user, with the password that this installation keeps.

    :param url: MLflow, as this machine reaches it.
    :raises ClusterError: if MLflow knows the administrator by another password, or refuses.
    """
    found = _call(url, passwords, "GET", f"users/get?username={MLFLOW_STEPS}")
    body = {"username": MLFLOW_STEPS, "password": passwords.mlflow_steps}
    if found == NOT_FOUND:
        _call(url, passwords, "POST", "users/create", body)
    else:
        _call(url, passwords, "PATCH", "users/update-password", body)


def _call(url: str, passwords: Passwords, method: str, path: str, body: dict[str, str] | None = None) -> int:
    login = base64.b64encode(f"{MLFLOW_ADMIN}:{passwords.mlflow}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/{path}", data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return NOT_FOUND
        if error.code == UNAUTHORIZED:
            advice = f"Drop database {MLFLOW_AUTH}, and MLflow makes it anew; experiments and models are elsewhere."
            message = "MLflow knows its administrator by another password than the one of this installation."
            raise ClusterError(f"{message} {advice}") from error
        said = error.read().decode(errors="replace")[:300]
        raise ClusterError(f"MLflow answered {error.code} to {method} {path.partition('?')[0]}: {said}") from error
    except OSError as error:
        raise ClusterError(
            f"MLflow at {url} did not answer: {error}. See forward-mlflow.log among the logs."
        ) from error
