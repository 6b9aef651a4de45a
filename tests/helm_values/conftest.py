"""The manifests as they lie in the repository; what kustomize makes of them is tested where there is kubectl."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from local_platform.locations import REPOSITORY

BASE = REPOSITORY / "helm-values" / "cluster" / "base"


@pytest.fixture(scope="session")
def base() -> list[dict[str, Any]]:
    """Every object of the base."""
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    paths = [BASE / name for name in kustomization["resources"]]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


@pytest.fixture(scope="session")
def settings() -> dict[str, str]:
    """The settings that the base gives every installation."""
    return read_settings(BASE / "settings.env")


def read_settings(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
