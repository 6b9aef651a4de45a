import pytest

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.stores.metrics.names import MODEL_METRICS, NAMES, MetricLabels, MetricName, StepMetric, series


def test_the_list_is_closed_and_does_not_grow_with_the_data() -> None:
    assert len(NAMES) == len(MetricName) + len(StepName) * len(StepMetric)
    assert not [name for name in NAMES if not name.replace(".", "").replace("_", "").isalpha()]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_two_projects_never_share_a_series(name: str) -> None:
    one, other = MetricLabels("flights", "delay"), MetricLabels("churn", "delay")
    assert series(name, one) != series(name, other)


@pytest.mark.parametrize("name", sorted(MODEL_METRICS))
def test_two_models_of_a_project_never_share_a_series(name: str) -> None:
    assert series(name, MetricLabels("flights", "delay")) != series(name, MetricLabels("flights", "cancelled"))


@pytest.mark.parametrize("name", sorted(MODEL_METRICS))
def test_a_metric_of_a_model_names_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' is of a model, and its labels name none"):
        series(name, MetricLabels("flights"))


@pytest.mark.parametrize("value", ["a.b", "a:b|c", "a b", "a@b#c"])
def test_a_label_stays_one_segment(value: str) -> None:
    result = series(MetricName.MODEL_ROC_AUC, MetricLabels(value, value))
    assert result.count(".") == 4
    assert not set(result) & set(":|@# ")
