"""Calls of ``kubectl``: the one tool that the cluster commands need beside what is installed by themselves."""

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
ANSWER_TIME = "15s"
SHOWN_LINES = 10


@dataclass(frozen=True)
class Kubectl:
    """Speaks to one cluster."""

    kubeconfig: str
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @classmethod
    def find(cls, kubeconfig: str) -> "Kubectl":
        """
        The one on PATH.

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
        Call it.

        :param given: its standard input.
        :return: what it printed.
        :raises ClusterError: with its last words if it fails.
        """
        try:
            done = subprocess.run(
                ["kubectl", *words], env=self.environment, input=given, check=False, text=True, capture_output=True,
                timeout=timeout_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            message = f"'kubectl {' '.join(words[:3])} …' did not end within {timeout_seconds:.0f} s."
            raise ClusterError(f"{message} Look whether the cluster answers: kubectl get nodes.") from error
        if done.returncode:
            said = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-SHOWN_LINES:])
            raise ClusterError(f"'kubectl {' '.join(words[:3])} …' failed:\n{said}")
        return done.stdout

    def server_version(self) -> str:
        """
        What the cluster is: ``v1.36.3``.

        :raises ClusterError: if it does not answer.
        """
        try:
            said = json.loads(self.call("version", "--output", "json", "--request-timeout", ANSWER_TIME))
        except ClusterError as error:
            message = f"The cluster that {KUBECONFIG}={self.kubeconfig} names does not answer: {error}"
            raise ClusterError(message) from error
        return str(said["serverVersion"]["gitVersion"])

    def get(self, *words: str) -> dict[str, Any]:
        """What ``kubectl get`` finds, as JSON; empty if there is no object of this name."""
        text = self.call("get", *words, "--ignore-not-found", "--output", "json")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Have objects as they are given; they travel by standard input, so that a Secret is nowhere on disk."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.call(*APPLY, "--filename", "-", given=json.dumps(listed))


APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager", "ml-platform-cluster-up")
