"""``make run`` once the services are up: the year's work, requests to the served model, the summary."""

import time
from collections.abc import Callable

from include.runtime.receipts import ReceiptReader
from include.spec.load import load_project
from include.stores.installation import Stores
from local_platform.console import Console
from local_platform.demo import served_model, summary
from local_platform.demo.airflow_api import AirflowApi
from local_platform.demo.failure import explain
from local_platform.demo.year_job import PROJECT, SCORED, Done, RunsFailedError, YearJob
from local_platform.services.services import Settings

SAMPLE_ROWS = 5
SWITCH_SECONDS = 20.0
"""How long a forwarded port may take to reach the new model server after a switch."""


def run(
    settings: Settings,
    stores: Stores,
    console: Console,
    require_services: Callable[[], None],
    add: Callable[[AirflowApi, Done, ReceiptReader], summary.Blocks] = summary.nothing,
    up_again: str = "",
) -> int:
    """
    Do the job and print the summary.

    :param stores: the stores that the steps work with, as this process reaches them.
    :param require_services: raises an error if a service has ended.
    :param add: further blocks of the summary.
    :param up_again: the command that starts the services again, if the caller ends them afterwards; else empty.
    :return: exit code: 0 only if all runs succeeded and the served model responded.
    """
    api = AirflowApi(settings.ports.airflow_url, "admin", settings.credentials.passwords["admin"])
    evidence = ReceiptReader(stores.objects, PROJECT)
    job = YearJob(api, console, require_services)
    try:
        done = job.do()
    except RunsFailedError as error:
        console.say(f"\n{error}\n{explain(api, settings.state, evidence, error.failed)}")
        return 1
    began = time.monotonic()
    spec, url = load_project(PROJECT), settings.ports.serving_url
    identity = served_model.identify(url, SWITCH_SECONDS)
    predictions = served_model.predict(url, identity, stores, spec, partition=SCORED, count=SAMPLE_ROWS)
    done.stages["requests to the served model"] = time.monotonic() - began
    console.say("")
    facts = summary.Facts(done, evidence, identity, predictions)
    console.say(summary.text(settings, facts, add(api, done, evidence), up_again))
    return 0
