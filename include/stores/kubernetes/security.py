"""
Security contexts with which the platform's pods pass the Pod Security Standard ``restricted``.

Plain JSON, as manifests hold it and as the models of the Kubernetes client take it.
"""

from typing import Any

# By number: the kubelet cannot tell whether a user that an image gives by name is root, and then refuses the pod.
USER = 65_532
"""User and group of the platform's images."""
# What "restricted" demands, and a read-only root beyond it: images compile nothing at run time (ADR 10).
CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of a container; it writes only to what is mounted into it."""


def pod_security(*, fs_group: int | None = None) -> dict[str, Any]:
    """
    Security context of a pod.

    :param fs_group: the group to which the pod's volumes belong, where they are to belong to one.
    """
    context: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        # Required by "restricted"; the runtime's default profile needs no file on the node.
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return context if fs_group is None else {**context, "fsGroup": fs_group}
