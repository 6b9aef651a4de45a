"""Calls of ``kubectl``, the one tool that the cluster commands do not install themselves (ADR 17)."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.settings import KUBECONFIG

TIMEOUT_SECONDS = 120.0
REQUEST_TIMEOUT = "15s"
EXCERPT_LINES = 10


@dataclass(frozen=True)
class Kubectl:
    """``kubectl`` for one cluster."""

    kubeconfig: str
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @classmethod
    def find(cls, kubeconfig: str) -> "Kubectl":
        """
        The program on PATH.

        :raises ClusterError: if there is none.
        """
        if not shutil.which("kubectl"):
            advice = "install it (https://kubernetes.io/docs/tasks/tools) and put it on PATH."
            raise ClusterError(f"There is no kubectl on PATH, which the cluster commands need: {advice}")
        return cls(kubeconfig)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its calls."""
        return {**self.variables, KUBECONFIG: self.kubeconfig}

    def call(self, *words: str, given: str = "", timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        """
        Run it.

        :param given: its standard input.
        :return: its standard output.
        :raises ClusterError: if it fails, with the last lines of its standard error; or if it runs too long.
        """
        try:
            done = subprocess.run(
                ["kubectl", *words], env=self.environment, input=given, check=False, text=True, capture_output=True,
                timeout=timeout_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            message = f"'kubectl {' '.join(words[:3])} …' did not end within {timeout_seconds:.0f} s."
            raise ClusterError(f"{message} Check whether the cluster responds: kubectl get nodes.") from error
        if done.returncode:
            excerpt = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-EXCERPT_LINES:])
            raise ClusterError(f"'kubectl {' '.join(words[:3])} …' failed:\n{excerpt}")
        return done.stdout

    def server_version(self) -> str:
        """
        The cluster's version, as ``v1.36.3``.

        :raises ClusterError: if it does not respond.
        """
        try:
            versions = json.loads(self.call("version", "--output", "json", "--request-timeout", REQUEST_TIMEOUT))
        except ClusterError as error:
            message = f"The cluster that {KUBECONFIG}={self.kubeconfig} names does not respond: {error}"
            raise ClusterError(message) from error
        return str(versions["serverVersion"]["gitVersion"])

    def get(self, *words: str) -> dict[str, Any]:
        """The result of ``kubectl get``; empty if there is no object of this name."""
        text = self.call("get", *words, "--ignore-not-found", "--output", "json")
        content: dict[str, Any] = json.loads(text) if text.strip() else {}
        return content

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or update objects; they are passed by standard input, so that no Secret is written to disk."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.call(*APPLY, "--filename", "-", given=json.dumps(listed))


# Server-side: no annotation keeps a copy of a Secret, as the client-side apply would. Conflicts are forced, because
# the overlay is the whole truth of its fields.
APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager", "ml-platform-cluster-up")
