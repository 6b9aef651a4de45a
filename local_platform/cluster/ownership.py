"""Ownership of namespaces: a cluster has room for one installation, and those that others made are not touched."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl

INSTALLATION = "ml-platform.org/installation"
"""Annotation of a namespace: the installation that made it."""


def owned(kubectl: Kubectl, names: Sequence[str], installation: str) -> list[str]:
    """
    The namespaces of a list that exist.

    :raises ClusterError: if one of them is not this installation's.
    """
    there = {name: one for name in names if (one := kubectl.get("namespace", name))}
    for name, one in there.items():
        owner = one["metadata"].get("annotations", {}).get(INSTALLATION)
        if owner == installation:
            continue
        if owner is None:
            advice = "Use another cluster, or delete it first if nobody needs what is in it."
            raise ClusterError(f"Namespace {name} exists already, and 'make cluster-up' did not create it. {advice}")
        advice = "Take that one down first: 'make cluster-down' where it was started, or 'kubectl delete namespace'"
        message = f"Namespace {name} belongs to another installation of the platform ({owner})"
        raise ClusterError(f"{message}, and a cluster has room for one. {advice} {' '.join(names)}.")
    return list(there)


def claim(kubectl: Kubectl, namespaces: Sequence[Mapping[str, Any]], installation: str) -> None:
    """
    Create the first of some namespaces, which excludes other installations, then the others.

    :param namespaces: as applied, each marked as this installation's.
    :raises ClusterError: if one of them belongs to another installation, or is still being deleted.
    """
    names = [one["metadata"]["name"] for one in namespaces]
    there = owned(kubectl, names, installation)
    for name in there:
        if kubectl.get("namespace", name).get("metadata", {}).get("deletionTimestamp"):
            advice = "Wait until 'kubectl get namespaces' no longer lists it."
            raise ClusterError(f"Namespace {name} is being deleted. {advice}")
    if names[0] not in there:
        # create, not apply: of two installations that start at the same time, the API server lets one create it.
        try:
            kubectl.call("create", "--filename", "-", given=json.dumps(namespaces[0]))
        except ClusterError:
            owned(kubectl, names, installation)
            raise
    kubectl.apply(*namespaces)


def marked(namespaces: Sequence[Mapping[str, Any]], installation: str) -> list[dict[str, Any]]:
    """Namespaces with the mark of an installation."""
    return [{**one, "metadata": {**one["metadata"], "annotations": {INSTALLATION: installation}}} for one in namespaces]
