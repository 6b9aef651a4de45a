from docs._ext.metrics import markdown, served_markdown
from include.stores.metrics.statsd import MetricName, StepMetric


def test_the_closed_list_is_there_with_meanings() -> None:
    rows = dict(row.strip("| ").split(" | ") for row in markdown().splitlines()[2:])
    assert len(rows) == len(MetricName) + len(StepMetric)
    assert rows["`ml_platform.model.deployed`"] == "Switches of the served model."
    assert all(rows.values())


def test_the_server_s_page_is_read() -> None:
    assert "| `ml_serving_requests_total` | counter | Answers by path and status. |" in served_markdown()
