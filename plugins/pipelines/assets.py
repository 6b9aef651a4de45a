"""
Airflow assets of a project: one for its validated rows and one for its features.

The ``extra`` of their events names the partition and the receipt, so that who is triggered by one knows what changed.
"""

from airflow.sdk import Asset

from include.contract.layout import Layer
from include.spec.project import ProjectSpec


def validated_asset(spec: ProjectSpec) -> Asset:
    """The validated rows of all sources; updated by step ``validate``."""
    return Asset(name=f"{spec.name}_{Layer.VALIDATED.value}", uri=f"ml://{spec.name}/{Layer.VALIDATED.value}")


def features_asset(spec: ProjectSpec) -> Asset:
    """The table of the project's feature set; updated by step ``features``."""
    table = spec.feature_set.table
    return Asset(name=f"{spec.name}_{table}", uri=f"ml://{spec.name}/{Layer.FEATURES.value}/{table}")
