"""``make run`` once the services are up: the year's work, questions to the served model, the summary."""

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

ASKED_ROWS = 5
PATIENCE_SECONDS = 20.0
"""How long a way to the model server may take to turn to a new one."""


def run(
    settings: Settings,
    stores: Stores,
    console: Console,
    is_well: Callable[[], None],
    add: Callable[[AirflowApi, Done, ReceiptReader], summary.Blocks] = summary.nothing,
) -> int:
    """
    Do the job and print what came of it.

    :param stores: the stores that the steps work with, as this process reaches them.
    :param is_well: raises an error if a service fell over.
    :param add: what else the summary tells.
    :return: exit code: 0 only if all of it happened.
    """
    api = AirflowApi(settings.ports.airflow_url, "admin", settings.credentials.passwords["admin"])
    evidence = ReceiptReader(stores.objects, PROJECT)
    job = YearJob(api, console, is_well)
    try:
        done = job.do()
    except RunsFailedError as error:
        console.say(f"\n{error}\n{explain(api, settings.state, evidence, error.failed)}")
        return 1
    began = time.monotonic()
    spec, url = load_project(PROJECT), settings.ports.serving_url
    identity = served_model.identify(url, PATIENCE_SECONDS)
    answers = served_model.ask(url, identity, stores, spec, partition=SCORED, count=ASKED_ROWS)
    done.stages["asking the served model"] = time.monotonic() - began
    console.say("")
    told = summary.Told(done, evidence, identity, answers)
    console.say(summary.text(settings, told, add(api, done, evidence)))
    return 0
