from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dags.conftest import Airflow

pytestmark = pytest.mark.airflow


def test_a_given_partition_is_scored(airflow: "Airflow") -> None:
    run = airflow.run("flights_scoring", {"partition": "2013-10"}, "success")
    assert airflow.states(run) == {"score": "success"}
