from include.serving.service_metrics import ServiceMetrics


def test_page_is_what_prometheus_reads() -> None:
    metrics = ServiceMetrics({"model": 'quo"te', "version": "3", "digest": "sha256:0"}, ready=True)
    metrics.request("/invocations", 200, 0.002)
    metrics.request("/invocations", 200, 20.0)
    metrics.request("other", 404, 0.1)
    metrics.batch(5, 2, 0.004)
    lines = metrics.text().splitlines()
    assert 'ml_serving_model_info{model="quo\\"te",version="3",digest="sha256:0"} 1' in lines
    assert 'ml_serving_requests_total{path="/invocations",status="200"} 2' in lines
    assert 'ml_serving_requests_total{path="other",status="404"} 1' in lines
    assert "ml_serving_rows_total 5" in lines
    assert "ml_serving_ready 1" in lines
    assert 'ml_serving_request_seconds_bucket{le="0.0025"} 1' in lines
    assert 'ml_serving_request_seconds_bucket{le="10.0"} 1' in lines
    assert 'ml_serving_request_seconds_bucket{le="+Inf"} 2' in lines
    assert "ml_serving_request_seconds_count 2" in lines
    assert 'ml_serving_batch_rows_bucket{le="8"} 1' in lines
    assert metrics.text().endswith("\n")


def test_every_metric_has_a_type_and_a_meaning() -> None:
    lines = ServiceMetrics({"model": "m"}).text().splitlines()
    helped = {line.split()[2] for line in lines if line.startswith("# HELP")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert helped == typed
    assert len(helped) == 9
