from prometheus_client.parser import text_string_to_metric_families

from include.serving.service_metrics import ServiceMetrics


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(page)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def test_page_is_what_prometheus_reads() -> None:
    metrics = ServiceMetrics({"model": 'quo"te', "version": "3", "digest": "sha256:0"}, ready=True)
    metrics.request("/invocations", 200, 0.002)
    metrics.request("/invocations", 200, 20.0)
    metrics.request("other", 404, 0.1)
    metrics.batch(5, 2, 0.004)
    metrics.in_flight += 1
    result = samples(metrics.text())

    def value(name: str, **labels: str) -> float:
        return result[name, frozenset(labels.items())]

    assert value("ml_serving_model_info", model='quo"te', version="3", digest="sha256:0") == 1
    assert value("ml_serving_requests_total", path="/invocations", status="200") == 2
    assert value("ml_serving_requests_total", path="other", status="404") == 1
    assert value("ml_serving_rows_total") == 5
    assert value("ml_serving_ready") == 1
    assert value("ml_serving_requests_in_flight") == 1
    assert value("ml_serving_request_seconds_bucket", le="0.0025") == 1
    assert value("ml_serving_request_seconds_bucket", le="10.0") == 1
    assert value("ml_serving_request_seconds_bucket", le="+Inf") == 2
    assert value("ml_serving_request_seconds_count") == 2
    assert value("ml_serving_batch_rows_bucket", le="8.0") == 1
    assert metrics.text().endswith("\n")


def test_two_apps_of_one_process_do_not_add_up() -> None:
    first, second = ServiceMetrics({"model": "m"}), ServiceMetrics({"model": "m"})
    first.batch(5, 2, 0.004)
    assert samples(second.text())["ml_serving_rows_total", frozenset()] == 0


def test_every_metric_has_a_type_and_a_meaning() -> None:
    lines = ServiceMetrics({"model": "m"}).text().splitlines()
    helped = {line.split()[2] for line in lines if line.startswith("# HELP")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert helped == typed
    assert len(helped) == 9
