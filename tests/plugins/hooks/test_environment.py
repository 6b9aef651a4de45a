import pytest

from plugins.hooks.environment import step_environment


def test_a_step_gets_its_settings_and_nothing_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_on = {"ML_OBJECTS_URI": "file:///o", "MLFLOW_TRACKING_URI": "http://m", "AWS_PROFILE": "p", "LC_ALL": "C"}
    kept_back = {"AIRFLOW__CORE__FERNET_KEY": "secret", "PYTHONPATH": "/elsewhere", "KUBECONFIG": "/k", "AWSOME": "1"}
    for name, value in {**handed_on, **kept_back}.items():
        monkeypatch.setenv(name, value)
    given = step_environment(threads=2)
    assert handed_on.items() <= given.items()
    assert not kept_back.keys() & given.keys()
    assert "PATH" in given


def test_threads_are_capped_for_every_library_that_starts_some() -> None:
    given = step_environment(threads=1)
    names = ("ML_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "TOKIO_WORKER_THREADS")
    assert {given[name] for name in names} == {"1"}
