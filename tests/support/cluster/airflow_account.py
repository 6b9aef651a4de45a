"""Airflow's accounts in a namespace of a test: they may do there what ``helm-values`` lets them do, and no more."""

import json
from pathlib import Path

import yaml
from kubernetes import client
from kubernetes.client import models as k8s

from local_platform.cluster import access
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.manifests import BASE

API_ACCOUNT = "ml-airflow-api"
"""Of Airflow's API server; its other parts have ``ml-airflow``."""
RIGHTS = "rbac.authorization.k8s.io"
TOKEN_SECONDS = 3 * 3600
"""Longer than any test takes."""


def write_kubeconfig(path: Path, account: str, admin: str, namespace: str) -> None:
    """
    Make an account, and a kubeconfig with its token.

    :param account: as in the platform's manifests, where its role has the same name.
    :param admin: kubeconfig of whoever runs the tests.
    """
    core, rights = client.CoreV1Api(), client.RbacAuthorizationV1Api()
    meta = k8s.V1ObjectMeta(name=account)
    core.create_namespaced_service_account(namespace, k8s.V1ServiceAccount(metadata=meta))
    rights.create_namespaced_role(namespace, {"metadata": {"name": account}, "rules": _rules(account)})
    binding = k8s.V1RoleBinding(
        metadata=meta,
        role_ref=k8s.V1RoleRef(api_group=RIGHTS, kind="Role", name=account),
        subjects=[k8s.RbacV1Subject(kind="ServiceAccount", name=account, namespace=namespace)],
    )
    rights.create_namespaced_role_binding(namespace, binding)
    request = k8s.AuthenticationV1TokenRequest(
        spec=k8s.V1TokenRequestSpec(audiences=[], expiration_seconds=TOKEN_SECONDS)
    )
    made = core.create_namespaced_service_account_token(account, namespace, request)
    cluster = access._own_cluster(Kubectl(admin))
    path.touch(0o600)
    path.write_text(json.dumps(access.kubeconfig(cluster, made.status.token)))


def _rules(account: str) -> list[dict[str, list[str]]]:
    """Rules of the platform's own role of this name."""
    [role] = [
        one
        for one in yaml.safe_load_all((BASE / "roles.yaml").read_text())
        if (one["kind"], one["metadata"]["name"]) == ("Role", account)
    ]
    rules: list[dict[str, list[str]]] = role["rules"]
    return rules
