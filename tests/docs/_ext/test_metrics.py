from docs._ext.metrics import markdown, served_markdown
from include.stores.metrics.names import MetricName, StepMetric


def test_the_closed_list_is_there_with_meanings() -> None:
    rows = dict(row.strip("| ").split(" | ") for row in markdown().splitlines()[2:])
    assert len(rows) == len(MetricName) + len(StepMetric)
    assert rows["`ml_platform.project.<project>.model.<model>.deployed`"] == "Switches of the served model."
    assert rows["`ml_platform.project.<project>.step.<step>.done`"] == "Calls that did their work."
    assert all(rows.values())


def test_the_server_s_page_is_read() -> None:
    assert "| `ml_serving_requests_total` | counter | Responses by path and status. |" in served_markdown()
