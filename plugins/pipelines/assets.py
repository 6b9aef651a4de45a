"""Assets of a project: what its data DAG makes, one of each layer; an event's extra names partition and receipt."""

from airflow.sdk import Asset

from include.contract.layout import Layer
from include.spec.project import ProjectSpec


def validated_asset(spec: ProjectSpec) -> Asset:
    """The validated rows of all sources."""
    return Asset(name=f"{spec.name}_{Layer.VALIDATED.value}", uri=f"ml://{spec.name}/{Layer.VALIDATED.value}")


def features_asset(spec: ProjectSpec) -> Asset:
    """The table of the project's feature set."""
    table = spec.feature_set.table
    return Asset(name=f"{spec.name}_{table}", uri=f"ml://{spec.name}/{Layer.FEATURES.value}/{table}")
