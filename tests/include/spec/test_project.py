import pytest

from include.contract.partition import Grain
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project, project_names
from tests.support.spec_kit import parsed

WHERE = r"include/projects/shop/project\.yaml: "


def test_every_project_of_the_repository_is_right() -> None:
    assert "flights" in project_names()
    for name in project_names():
        assert load_project(name).name == name


def test_the_steps_of_the_spec_are_those_of_the_contract() -> None:
    steps = {step.value: {"cpu": 1} for step in StepName}
    assert parsed({"execution.steps": steps}).execution.steps.keys() == set(StepName)


def test_the_grain_is_that_of_the_contract() -> None:
    assert parsed().grain is Grain.MONTH
    assert parsed({"grain": "day"}).grain is Grain.DAY


def test_a_spec_is_frozen() -> None:
    spec = parsed()
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]  # that is what is refused


def test_the_base_source_and_the_feature_names_are_at_hand() -> None:
    spec = parsed()
    assert spec.base is spec.sources["parcels"]
    assert spec.feature_names == ("weight", "rain", "before")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("timezone", "America/New_Yorc", r"timezone: 'America/New_Yorc' is no IANA timezone"),
        ("grain", "week", r"grain: is 'week'"),
        ("start", "soon", r"start: is 'soon'"),
        ("end", "2013-01-01", r"end is 2013-01-01, which is not after start 2013-01-01"),
        ("name", "Shop", r"name: is 'Shop'"),
        ("owner.email", "nobody", r"owner\.email: is 'nobody'"),
        ("schedule.data", "monthly", r"schedule\.data: is 'monthly'"),
        ("feature_set.base", "parcel", r"feature_set\.base is 'parcel'.*Did you mean 'parcels'\?"),
        ("feature_set.joins.0.source", "wether", r"joins\[0\]\.source is 'wether'.*Did you mean 'weather'\?"),
        ("feature_set.joins.0.source", "parcels", r"joins 'parcels' to itself"),
        ("feature_set.joins.0.on", {"dya": "day"}, r"joins\[0\]\.on is 'dya'.*Did you mean 'day'\?"),
        ("feature_set.joins.0.on", {"day": "dya"}, r"joins\[0\]\.on is 'dya'"),
        (
            "feature_set.joins.0.on",
            {"late": "day"},
            r"on uses 'late', which is known only after the prediction is made",
        ),
        ("target.column", "lat", r"target\.column is 'lat'.*Did you mean 'late'\?"),
        ("target.name", "weight", r"target\.name is 'weight', the name of a column, a time or a feature"),
        ("evaluation.slices", ["shelv"], r"evaluation\.slices is 'shelv'.*Did you mean 'shelf'\?"),
        ("execution.steps", {"trian": {"cpu": 1}}, r"execution\.steps is 'trian'.*Did you mean 'train'\?"),
        ("execution.default.cpu", None, r"execution\.default leaves out cpu"),
        ("sources", {}, r"sources: "),
        ("title", None, r"title: is missing; the spec needs it"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_key_value_and_a_near_name(
    path: str, value: object, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=WHERE + f"(?s:.*){message}"):
        parsed({path: value})
