from include.spec.load import load_project
from plugins.pipelines.assets import features_asset, validated_asset


def test_an_asset_is_named_by_project_and_layer() -> None:
    spec = load_project("flights")
    table = spec.feature_set.table
    assert (validated_asset(spec).name, validated_asset(spec).uri) == ("flights_validated", "ml://flights/validated")
    assert (features_asset(spec).name, features_asset(spec).uri) == (
        f"flights_{table}",
        f"ml://flights/features/{table}",
    )
