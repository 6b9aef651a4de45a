"""``make cluster-up``, ``cluster-run`` and ``cluster-down``."""

import os
import time
from collections.abc import Sequence

from include.stores.installation import Stores
from local_platform.cluster import environment, manifests, ownership, pods
from local_platform.cluster.backing_services.passwords import MLFLOW_STEPS
from local_platform.cluster.backing_services.passwords import provide as provide_passwords
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import ClusterSettings
from local_platform.cluster.start import ClusterStart
from local_platform.console import Console, seconds
from local_platform.demo import job
from local_platform.locations import State
from local_platform.services import lifecycle, ports
from local_platform.services.fleet import exclusive
from local_platform.services.services import Settings

PORTS = (*ports.NAMES, "postgres")
DELETE_SECONDS, MARGIN_SECONDS = 300.0, 30.0


def up(state: State, console: Console) -> int:
    """Bring the platform up on the cluster and leave it running."""
    start = _start(console)
    with exclusive(state):
        settings = _left_running(state, start)
        if settings is None:
            console.say("Services:")
            with lifecycle.started(state, console, start, PORTS) as (settings, fleet):
                lifecycle.detach(settings, fleet)
    _introduce(settings, console)
    return 0


def run(state: State, console: Console) -> int:
    """Bring it up, do the year's work in pods, stop what was started on this machine."""
    start = _start(console)
    with exclusive(state):
        running = _left_running(state, start)
        if running:
            console.say("Services: using those that 'make cluster-up' left running.")
            return _job(running, start.given, lifecycle.left_running(state), console)
        console.say("Services:")
        with lifecycle.started(state, console, start, PORTS) as (settings, fleet):
            code = _job(settings, start.given, fleet.names, console, up_again="make cluster-up")
    console.say()
    console.say(
        "Airflow and the other services of this machine have ended. MLflow and the model servers run on in the cluster."
    )
    console.say("'make cluster-up' starts Airflow again beside them, 'make cluster-down' removes them.")
    return code


def down(state: State, console: Console) -> int:
    """Stop everything here and delete the namespaces; data in S3, the artifact registry and the databases stays."""
    given = ClusterSettings.from_environment(os.environ)
    kubectl = Kubectl.find(given.kubeconfig)
    with exclusive(state):
        lifecycle.down(state, console)
        ours = ownership.owned(kubectl, manifests.NAMESPACES, provide_passwords(state.secrets).installation)
        began = time.monotonic()
        if ours:
            # kubectl's own limit first: its message names the namespace that hangs.
            with console.live(f"deleting namespaces {', '.join(ours)} …"):
                kubectl.call(
                    "delete", "namespace", *ours, "--ignore-not-found", "--wait", f"--timeout={DELETE_SECONDS:.0f}s",
                    timeout_seconds=DELETE_SECONDS + MARGIN_SECONDS,
                )  # fmt: skip
    gone = f"namespaces {', '.join(ours)} are gone after {seconds(time.monotonic() - began)}"
    console.say(gone if ours else "nothing of ours was in the cluster")
    console.say(
        f"Kept: bucket {given.s3_bucket}, what {given.registry} holds, and {state.root} with databases and passwords."
    )
    return 0


COMMANDS = {"up": up, "run": run, "down": down}


def _start(console: Console) -> ClusterStart:
    given = ClusterSettings.from_environment(os.environ)
    kubectl = Kubectl.find(given.kubeconfig)
    version = kubectl.server_version()
    console.say(f"Cluster: Kubernetes {version}, artifact registry {given.registry}, S3 {given.s3_endpoint}")
    return ClusterStart(given, kubectl)


def _left_running(state: State, start: ClusterStart) -> Settings | None:
    """The settings of what ``make cluster-up`` left running; None if code or cluster have changed since."""
    return lifecycle.settings_of(state) if start.is_current(state) else None


def _job(settings: Settings, given: ClusterSettings, names: Sequence[str], console: Console, up_again: str = "") -> int:
    reached = environment.as_reached_here(settings, given)
    # MLflow's client and boto3 read addresses and keys from the environment, whatever Stores is given.
    os.environ.update(reached)
    return job.run(
        settings,
        Stores(reached),
        console,
        lambda: lifecycle.require_running(settings.state, names),
        pods.blocks,
        up_again,
    )


def _introduce(settings: Settings, console: Console) -> None:
    users = ", ".join(f"{user} / {password}" for user, password in settings.credentials.passwords.items())
    steps = provide_passwords(settings.state.secrets).mlflow_steps
    console.say(f"Airflow       {settings.ports.airflow_url}   ({users})")
    console.say(f"MLflow        {settings.ports.mlflow_url}   ({MLFLOW_STEPS} / {steps})")
    console.say(f"served model  {settings.ports.serving_url}/docs   (once there is one)")
    console.say(f"logs          {settings.state.logs}")
    console.say("'make cluster-down' stops and removes all of it.")
