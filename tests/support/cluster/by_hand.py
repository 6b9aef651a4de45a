"""``python -m include.governance`` as the documentation describes it, on a platform of the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from include.contract import settings
from local_platform import cli
from local_platform.cluster import access, manifests
from local_platform.cluster.manifests import SERVING, STEPS
from local_platform.cluster.settings import KUBECONFIG
from tests.support.cluster.running_platform import ClusterPlatform

SECONDS = 300.0
ACCOUNT, ROLE = "ml-deploy", "rollback-by-hand"


@dataclass(frozen=True)
class Operator:
    """A person with the rights of ``ml-deploy`` and to ``services/proxy``, and no others."""

    bundle: Path
    variables: dict[str, str] = field(repr=False)

    def calls(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Call the command."""
        return subprocess.run(
            [sys.executable, "-m", "include.governance", *words], cwd=self.bundle, env=self.variables, check=False,
            text=True, capture_output=True, timeout=SECONDS,
        )  # fmt: skip


@contextmanager
def operator(platform: ClusterPlatform, image: str, folder: Path) -> Iterator[Operator]:
    """
    Somebody who may roll back; what that needs beside the platform's own roles is gone afterwards.

    :param image: the one that serves.
    :param folder: for the kubeconfig.
    """
    kubectl, here = platform.kubectl, ("--namespace", SERVING)
    kubeconfig = folder / "by-hand.kubeconfig"
    token = kubectl.call("create", "token", ACCOUNT, "--namespace", STEPS).strip()
    kubeconfig.touch(0o600)
    kubeconfig.write_text(json.dumps(access.kubeconfig(access._own_cluster(kubectl), token)))
    kubectl.call("create", "role", ROLE, "--verb", "get,create", "--resource", "services/proxy", *here)
    try:
        kubectl.call("create", "rolebinding", ROLE, "--role", ROLE, "--serviceaccount", f"{STEPS}:{ACCOUNT}", *here)
        own = {name: value for name, value in os.environ.items() if not name.startswith(cli.FOREIGN)}
        variables = {
            settings.SERVING_URI: manifests.base_settings()[settings.SERVING_URI],
            settings.SERVING_IMAGE: image,
            KUBECONFIG: str(kubeconfig),
        }
        yield Operator(platform.bundle, own | platform.store_environment() | variables)
    finally:
        kubectl.call("delete", "rolebinding,role", ROLE, "--ignore-not-found", *here)
