"""Files among the artifacts of a training's run."""

import tempfile
from pathlib import Path

from include.packaging.files import MODEL
from include.stores.registry.protocol import RegistryStore

MODEL_ARTIFACT = f"model/{MODEL}"
DESCRIPTION_ARTIFACT = "model/MLmodel"
GOLDEN_ARTIFACT = "golden/golden.json"


def fetched(registry: RegistryStore, run_id: str, artifact: str) -> bytes:
    """
    One file of a run's artifacts.

    :raises DataRejectedError: if it is gone.
    """
    with tempfile.TemporaryDirectory() as folder:
        return registry.download(run_id, artifact, Path(folder)).read_bytes()
