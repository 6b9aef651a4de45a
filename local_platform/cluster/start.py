"""Starts the platform on a cluster."""

import hashlib
import importlib.metadata
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from local_platform import images
from local_platform.cluster import access, environment, manifests, ownership, services, workloads
from local_platform.cluster.backing_services import bucket, databases, mlflow_users, passwords
from local_platform.cluster.backing_services.databases import Databases
from local_platform.cluster.backing_services.passwords import Passwords
from local_platform.cluster.backing_services.postgres import OwnPostgres
from local_platform.cluster.environment import Cluster
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.manifests import Overlay
from local_platform.cluster.settings import ClusterSettings
from local_platform.console import Console, seconds
from local_platform.images import ArtifactRegistry
from local_platform.locations import State, bundle
from local_platform.services import lifecycle
from local_platform.services.fleet import Fleet
from local_platform.services.lifecycle import Change
from local_platform.services.ports import LOOPBACK
from local_platform.services.services import Settings

TARGETS = ("step", "serving", "mlflow")
"""Airflow itself runs on this machine."""
REACH_SECONDS = 2.0


class ClusterStart:
    """Starts all services; each after those that it needs."""

    def __init__(self, given: ClusterSettings, kubectl: Kubectl) -> None:
        self.given = given
        self._kubectl = kubectl

    def __call__(self, settings: Settings, own: Fleet, console: Console) -> None:
        """
        Start all services.

        :raises ClusterError: if the cluster, S3 or PostgreSQL lacks something, or does not respond.
        :raises ImageError: if an image cannot be built or pushed.
        :raises PlatformStartError: if something on this machine does not become ready.
        """
        secrets = passwords.provide(settings.state.secrets)
        # Before minutes of building images: a cluster of another installation is refused at once.
        ownership.owned(self._kubectl, manifests.NAMESPACES, secrets.installation)
        registry = ArtifactRegistry.parse(self.given.registry)
        references = images.provide(registry, TARGETS, console, self.given.image_base, bundle())
        if bucket.provide(self.given):
            console.say(f"  bucket {self.given.s3_bucket} made")
        ownership.claim(self._kubectl, manifests.namespaces(secrets.installation), secrets.installation)
        addresses = self._databases(settings, own, secrets, console)
        listed = manifests.secrets(self.given, addresses, secrets)
        overlay = Overlay(
            folder=settings.state.root / "manifests",
            settings=environment.overrides(self.given),
            images=self._pulled(references),
            ports=manifests.store_ports(self.given, addresses),
            installation=secrets.installation,
            secrets_digest=manifests.digest_of(listed),
        )
        manifests.apply(self._kubectl, overlay, listed)
        workloads.wait(self._kubectl, manifests.PLATFORM, [manifests.MLFLOW_NAME, manifests.STATSD_NAME], console)
        self._start_forwards(settings, own)
        mlflow_users.provide(settings.ports.mlflow_url, secrets)
        # Not the person's kubeconfig: Airflow has the rights of its own service account (ADR 17).
        kubeconfig = settings.state.secrets / "airflow.kubeconfig"
        access.write_kubeconfig(self._kubectl, kubeconfig)
        cluster = Cluster(
            given=self.given,
            databases=addresses,
            images=references,
            kubeconfig=kubeconfig,
            statsd=self._reachable_statsd(),
        )
        _start_airflow(settings, cluster, own, console)
        _started(settings.state).write_text(self._digest())

    def is_current(self, state: State) -> bool:
        """Whether the last start was of this code, with these settings of the cluster."""
        try:
            return _started(state).read_text() == self._digest()
        except OSError:
            return False

    def _digest(self) -> str:
        content = json.dumps([asdict(self.given), images.context_digest(bundle()), str(bundle())])
        return hashlib.sha256(content.encode()).hexdigest()

    def _databases(self, settings: Settings, own: Fleet, secrets: Passwords, console: Console) -> Databases:
        url = self.given.postgres
        address = own_address = url.rpartition("@")[2].partition("/")[0]
        if not url:
            port = settings.ports.postgres
            server = OwnPostgres(settings.state, self.given.host_address, port)
            if server.make(secrets.postgres):
                console.say("  PostgreSQL's data folder made")
            service = server.service(secrets.postgres)
            own.start(service)
            own.wait([service])
            url = server.url(secrets.postgres)
            address, own_address = f"{self.given.host_address}:{port}", f"{LOOPBACK}:{port}"
        databases.provide(url, secrets.databases)
        return Databases(address, own_address, secrets.databases)

    def _pulled(self, references: Mapping[str, str]) -> dict[str, str]:
        """Images of MLflow and the StatsD exporter, by their names in the base."""
        exporter = {manifests.STATSD_IMAGE: self.given.statsd_image} if self.given.statsd_image else {}
        return {"mlflow": references["mlflow"], **exporter}

    def _start_forwards(self, settings: Settings, own: Fleet) -> None:
        forwards = [services.mlflow_forward(settings, self._kubectl), services.model_forward(settings, self._kubectl)]
        for forward in forwards:
            own.start(forward)
        own.wait(forwards)

    def _reachable_statsd(self) -> str:
        """Address of the StatsD exporter if this machine reaches cluster IPs (its TCP port shows), else empty."""
        service = self._kubectl.get("service", manifests.STATSD_NAME, "--namespace", manifests.PLATFORM)
        address = service.get("spec", {}).get("clusterIP", "")
        try:
            socket.create_connection((address, manifests.STATSD_METRICS_PORT), REACH_SECONDS).close()
        except OSError:
            return ""
        return f"{address}:{manifests.STATSD_PORT}"


def _start_airflow(settings: Settings, cluster: Cluster, own: Fleet, console: Console) -> None:
    change = cluster.databases.change
    settings.state.airflow.mkdir(parents=True, exist_ok=True)
    held = lifecycle.settle(change)
    if not _is_migrated(settings.state, change):
        began = time.monotonic()
        own.complete(services.migration(settings, cluster))
        _mark(settings.state).write_text(importlib.metadata.version("apache-airflow"))
        console.say(f"  Airflow's database made in {seconds(time.monotonic() - began)}")
    airflow = services.airflow(settings, cluster)
    for service in airflow:
        own.start(service)
    own.wait(airflow)
    lifecycle.release(change, held)


def _is_migrated(state: State, change: Change) -> bool:
    """Whether the database is at the installed version."""
    # The mark alone does not do: CLUSTER_POSTGRES may name another server since.
    mark = _mark(state)
    known = mark.exists() and mark.read_text() == importlib.metadata.version("apache-airflow")
    return known and bool(change("SELECT version_num FROM alembic_version"))


def _started(state: State) -> Path:
    return state.root / "started"


def _mark(state: State) -> Path:
    return state.airflow / "migrated"
