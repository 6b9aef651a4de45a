"""A cluster in memory whose pods serve models: they respond as the model server does, or show why they cannot start."""

import json
from dataclasses import dataclass, field

from include.packaging.files import Bundle
from include.stores.http import HttpResponse
from include.stores.kubernetes.memory import MemoryCluster
from include.stores.kubernetes.protocol import Manifest
from include.stores.serving.names import DIGEST, VERSION

NAMESPACE = "models"


@dataclass
class ModelCluster(MemoryCluster):
    """Pods of it are model servers of the bundles that it knows."""

    bundles: dict[str, Bundle] = field(default_factory=dict)
    """What images and volumes hold, by digest of the bundle."""
    troubles: dict[str, Manifest] = field(default_factory=dict)
    """Status of the one container of a Deployment's pods, by digest: they never become ready."""

    def response_of(self, pod: Manifest, method: str, path: str, body: bytes | None) -> HttpResponse:
        del path  # health and predictions differ in the method
        metadata = pod["metadata"]
        bundle, version = self.bundles[metadata["annotations"][DIGEST]], metadata["labels"][VERSION]
        headers = {"x-model-version": version, "x-model-digest": bundle.digest}
        if method == "GET":
            return HttpResponse(200, headers, json.dumps({"version": version}).encode())
        golden, rows = bundle.golden(), json.loads(body or b"{}")["dataframe_split"]
        if rows["columns"] != golden.rows.columns:
            return HttpResponse(400, headers, b"The model requires column 'carrier'")
        return HttpResponse(200, headers, json.dumps({"predictions": golden.predictions}).encode())

    def trouble_of(self, deployment: Manifest) -> Manifest | None:
        return self.troubles.get(deployment["metadata"]["annotations"][DIGEST])


def ended(code: int, message: str, reason: str = "Error", restarts: int = 0) -> Manifest:
    """Status of a container that ended by itself."""
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"state": state, "lastState": {}, "restartCount": restarts}


def waiting(reason: str, message: str) -> Manifest:
    """Status of a container that cannot begin."""
    return {"state": {"waiting": {"reason": reason, "message": message}}, "lastState": {}, "restartCount": 0}
