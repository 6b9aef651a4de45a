"""MLflow's user for the steps: not an administrator; it may change only what it created."""

import httpx

from local_platform import loopback
from local_platform.cluster.backing_services.databases import MLFLOW_AUTH
from local_platform.cluster.backing_services.passwords import MLFLOW_ADMIN, MLFLOW_STEPS, Passwords
from local_platform.cluster.errors import ClusterError

UNAUTHORIZED, NOT_FOUND = 401, 404


def provide(url: str, passwords: Passwords) -> None:
    """
    Create the user, or set its password to the one that this installation keeps.

    :param url: MLflow, as this machine reaches it.
    :raises ClusterError: if MLflow does not respond, has another password of its administrator, or refuses.
    """
    client = loopback.client(f"{url}/api/2.0/mlflow", auth=(MLFLOW_ADMIN, passwords.mlflow))
    status = _call(client, "GET", f"users/get?username={MLFLOW_STEPS}")
    body = {"username": MLFLOW_STEPS, "password": passwords.mlflow_steps}
    if status == NOT_FOUND:
        _call(client, "POST", "users/create", body)
    else:
        _call(client, "PATCH", "users/update-password", body)


def _call(client: httpx.Client, method: str, path: str, body: dict[str, str] | None = None) -> int:
    """The HTTP status: of success, or 404."""
    try:
        response = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        where = f"{client.base_url.scheme}://{client.base_url.netloc.decode()}"
        raise ClusterError(
            f"MLflow at {where} did not respond: {error}. See forward-mlflow.log among the logs."
        ) from error
    # MLflow sets the administrator's password when it creates its users' database, and never again.
    if response.status_code == UNAUTHORIZED:
        advice = f"Drop database {MLFLOW_AUTH}: MLflow creates it again, and experiments and models are in another one."
        message = "MLflow's administrator has another password than the one of this installation."
        raise ClusterError(f"{message} {advice}")
    if response.is_error and response.status_code != NOT_FOUND:
        what = f"MLflow responded {response.status_code} to {method} {path.partition('?')[0]}"
        raise ClusterError(f"{what}: {loopback.excerpt(response)}")
    return response.status_code
