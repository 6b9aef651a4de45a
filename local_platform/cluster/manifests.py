"""
What is applied to the cluster: ``helm-values/cluster/base`` under an overlay of this installation, and the Secrets.

The overlay is generated, with a copy of the base beside it, below the state folder, where a person can read what was
applied. Secrets are not in it: they go to the API server by standard input and are nowhere on disk.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from local_platform.cluster.backing_services.databases import MLFLOW, MLFLOW_AUTH, Databases
from local_platform.cluster.backing_services.passwords import MLFLOW_STEPS, Passwords
from local_platform.cluster.kubectl import APPLY, Kubectl
from local_platform.cluster.ownership import INSTALLATION, marked
from local_platform.cluster.settings import ClusterSettings
from local_platform.locations import REPOSITORY

BASE = REPOSITORY / "helm-values" / "cluster" / "base"
PLATFORM, STEPS, SERVING = "ml-platform", "ml-steps", "ml-serving"
NAMESPACES = (PLATFORM, STEPS, SERVING)
MANAGED = {"app.kubernetes.io/managed-by": "ml-platform"}
SECRETS = "ml-platform.org/secrets"
"""Annotation of MLflow's pods: a digest of the settings and Secrets that they read at their start."""
SETTINGS = "ml-settings"
MLFLOW_NAME, MLFLOW_PORT = "ml-mlflow", 5000
STATSD_NAME, STATSD_PORT, STATSD_METRICS_PORT = "ml-statsd-exporter", 9125, 9102
STATSD_IMAGE = "prom/statsd-exporter"
"""As the base names it."""
AIRFLOW_ACCOUNT, AIRFLOW_TOKEN = "ml-airflow", "ml-airflow-token"
STORES_POLICY = "stores"
HTTPS = 443
"""Port of a URL that names none."""


@dataclass(frozen=True)
class Overlay:
    """One installation's kustomize overlay."""

    folder: Path
    settings: Mapping[str, str]
    """Values of ConfigMap ml-settings that differ from the base."""
    images: Mapping[str, str]
    """References by the names that the base gives images."""
    ports: tuple[int, ...]
    """Ports of S3, the artifact registry and PostgreSQL, which the network policies allow."""
    installation: str
    """Id of the installation that owns the namespaces."""
    secrets_digest: str = ""
    """MLflow reads Secrets and settings at its start, so it is restarted when this changes."""

    def write(self, base: Path = BASE) -> None:
        """Write the overlay, with a copy of the base."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(base, self.folder / "base")
        (self.folder / "kustomization.yaml").write_text(json.dumps(self._kustomization(), indent=2))

    def _kustomization(self) -> dict[str, Any]:
        merge = {
            "name": SETTINGS,
            "namespace": PLATFORM,
            "behavior": "merge",
            "literals": [f"{name}={value}" for name, value in sorted(self.settings.items())],
            # Pods refer to the ConfigMap by its fixed name; a suffix would be a new object at each change.
            "options": {"disableNameSuffixHash": True},
        }
        listed = [{"protocol": "TCP", "port": port} for port in sorted({*self.ports, HTTPS})]
        patch = [{"op": "replace", "path": "/spec/egress/0/ports", "value": listed}]
        mark = [{"op": "add", "path": "/metadata/annotations", "value": {INSTALLATION: self.installation}}]
        changed = {"spec": {"template": {"metadata": {"annotations": {SECRETS: self._digest()}}}}}
        return {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["base"],
            "labels": [{"pairs": MANAGED}],
            "configMapGenerator": [merge],
            "images": [_image(name, reference) for name, reference in sorted(self.images.items())],
            "patches": [
                {"target": {"kind": "NetworkPolicy", "name": STORES_POLICY}, "patch": json.dumps(patch)},
                {"target": {"kind": "Namespace"}, "patch": json.dumps(mark)},
                {"target": {"kind": "Deployment", "name": MLFLOW_NAME}, "patch": json.dumps(_named(changed))},
            ],
        }

    def _digest(self) -> str:
        return hashlib.sha256(
            json.dumps([self.secrets_digest, dict(self.settings)], sort_keys=True).encode()
        ).hexdigest()


def base_settings(base: Path = BASE) -> dict[str, str]:
    """Values of ConfigMap ml-settings in the base."""
    lines = (base / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def store_ports(settings: ClusterSettings, databases: Databases) -> tuple[int, ...]:
    """Ports of the stores that pods connect to."""
    addresses = (settings.s3_endpoint, settings.registry, f"//{databases.address}")
    return tuple(port_of(address) for address in addresses)


def port_of(address: str) -> int:
    """The port of a URL, or of ``host:port/path``."""
    parts = urlsplit(address if "//" in address else f"https://{address}")
    return parts.port or (80 if parts.scheme == "http" else HTTPS)


def namespaces(installation: str, base: Path = BASE) -> list[dict[str, Any]]:
    """The namespaces of the base, marked as an installation's."""
    return marked(list(yaml.safe_load_all((base / "namespaces.yaml").read_text())), installation)


def apply(kubectl: Kubectl, overlay: Overlay, secrets: list[dict[str, Any]]) -> None:
    """
    Apply the objects of the namespaces: first the Secrets, to which pods refer, then the overlay.

    The token comes last: the cluster deletes a token whose service account does not exist yet.
    """
    overlay.write()
    kubectl.apply(*secrets)
    kubectl.call(*APPLY, "--kustomize", str(overlay.folder))
    kubectl.apply(token())


def secrets(settings: ClusterSettings, databases: Databases, passwords: Passwords) -> list[dict[str, Any]]:
    """The Secrets: one for each connection of a step, and MLflow's own."""
    keys = {"AWS_ACCESS_KEY_ID": settings.s3_access_key, "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key}
    mlflow = {
        "backend-store-uri": databases.url(MLFLOW),
        "admin-password": passwords.mlflow,
        "flask-secret-key": passwords.mlflow_key,
        "basic_auth.ini": _basic_auth(databases.url(MLFLOW_AUTH)),
    }
    login = {"MLFLOW_TRACKING_USERNAME": MLFLOW_STEPS, "MLFLOW_TRACKING_PASSWORD": passwords.mlflow_steps}
    return [
        *(_secret(namespace, "ml-connection-s3", keys) for namespace in NAMESPACES),
        _secret(PLATFORM, "ml-mlflow", mlflow),
        _secret(STEPS, "ml-connection-mlflow", login),
    ]


def token() -> dict[str, Any]:
    """A Secret into which the cluster writes the token of Airflow's service account."""
    made = _secret(PLATFORM, AIRFLOW_TOKEN, {}) | {"type": "kubernetes.io/service-account-token"}
    made["metadata"]["annotations"] = {"kubernetes.io/service-account.name": AIRFLOW_ACCOUNT}
    return made


def digest_of(objects: list[dict[str, Any]]) -> str:
    """SHA-256 of Secrets: changes when one of them does, and reveals none."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()


def _named(patch: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": MLFLOW_NAME}, **patch}


def _basic_auth(database: str) -> str:
    values = {
        "default_permission": "READ",
        # configparser reads a single % as the start of a reference.
        "database_uri": database.replace("%", "%%"),
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        # MLflow checks a password by a hash that is slow on purpose, and a step signs in with each of its requests.
        "auth_cache_ttl_seconds": "60",
    }
    return "\n".join(["[mlflow]", *(f"{name} = {value}" for name, value in values.items()), ""])


def _secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(MANAGED)},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _image(name: str, reference: str) -> dict[str, str]:
    repository, _, digest = reference.partition("@")
    if digest:
        return {"name": name, "newName": repository, "digest": digest}
    # The colon may be that of a port: host:5000/name without a tag.
    repository, _, tag = reference.rpartition(":")
    return (
        {"name": name, "newName": repository, "newTag": tag} if "/" not in tag else {"name": name, "newName": reference}
    )
