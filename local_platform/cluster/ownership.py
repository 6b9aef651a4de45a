"""Whose namespaces these are: a cluster has room for one installation, and what others made is left alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl

INSTALLATION = "ml-platform.org/installation"
"""Annotation of a namespace: the installation that made it."""


def owned(kubectl: Kubectl, names: Sequence[str], installation: str) -> list[str]:
    """
    Which of some namespaces are there.

    :raises ClusterError: if one of them is not this installation's.
    """
    there = {name: found for name in names if (found := kubectl.get("namespace", name))}
    for name, found in there.items():
        owner = found["metadata"].get("annotations", {}).get(INSTALLATION)
        if owner == installation:
            continue
        if owner is None:
            advice = "Use another cluster, or delete it first if nobody needs what is in it."
            raise ClusterError(f"Namespace {name} is there already, and 'make cluster-up' did not make it. {advice}")
        advice = "End that one first: 'make cluster-down' where it was started, or 'kubectl delete namespace'"
        message = f"Namespace {name} belongs to another installation of the platform ({owner})"
        raise ClusterError(f"{message}, and a cluster has room for one. {advice} {' '.join(names)}.")
    return list(there)


def claim(kubectl: Kubectl, namespaces: Sequence[Mapping[str, Any]], installation: str) -> None:
    """
    Make the first of some namespaces, so that nobody else does, then the others.

    :param namespaces: as they are to be, each marked as this installation's.
    :raises ClusterError: if one of them is somebody else's, or still being deleted.
    """
    names = [one["metadata"]["name"] for one in namespaces]
    there = owned(kubectl, names, installation)
    for name in there:
        if kubectl.get("namespace", name).get("metadata", {}).get("deletionTimestamp"):
            advice = "Wait until 'kubectl get namespaces' shows it no more."
            raise ClusterError(f"Namespace {name} is being deleted. {advice}")
    if names[0] not in there:
        # Of two that come here at the same time, the API server lets one make it.
        try:
            kubectl.call("create", "--filename", "-", given=json.dumps(namespaces[0]))
        except ClusterError:
            owned(kubectl, names, installation)
            raise
    kubectl.apply(*namespaces)


def marked(namespaces: Sequence[Mapping[str, Any]], installation: str) -> list[dict[str, Any]]:
    """Namespaces with the mark of an installation."""
    return [{**one, "metadata": {**one["metadata"], "annotations": {INSTALLATION: installation}}} for one in namespaces]
