"""What a person sees: Airflow's own pages in a real browser."""

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from local_platform.locations import State
from local_platform.services import credentials, ports
from tests.conftest import TOOLS
from tests.support.step_bundle import wait_until

if TYPE_CHECKING:
    from tests.dags.conftest import Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.needs("browser")]
QUIETLY = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
TIMEOUT_MS = 60_000


@pytest.fixture
def page() -> Iterator[Page]:
    program = next(filter(None, map(shutil.which, TOOLS["browser"].programs)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIETLY))
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(TIMEOUT_MS)
        yield context.new_page()
        browser.close()


def log_in(page: Page, airflow: "Airflow", user: str) -> None:
    state = State(airflow.bundle.root.parent / "state")
    page.goto(f"{ports.Ports(**ports.recall(state.ports)).airflow_url}/dags")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password", exact=True).fill(credentials.provide(state.secrets).passwords[user])
    page.get_by_role("button", name=re.compile("sign in|log ?in", re.IGNORECASE)).click()
    expect(dag_link(page, "training")).to_be_visible(timeout=TIMEOUT_MS)


def dag_link(page: Page, kind: str) -> Locator:
    """The link to a DAG of the flights project in the list of DAGs, by the DAG's id."""
    return page.get_by_role("link", name=f"flights_{kind}", exact=True)


def field(form: Locator, name: str) -> Locator:
    """One parameter's part of the trigger form: its label, its input, what it means."""
    return form.get_by_role("group").filter(has_text=re.compile(rf"^{name}"))


def test_a_person_trains_from_the_trigger_form(airflow: "Airflow", page: Page) -> None:
    log_in(page, airflow, "admin")
    for kind in ("data", "training", "scoring"):
        expect(dag_link(page, kind)).to_be_visible()

    dag_link(page, "training").click()
    # The list that goes has buttons of that name, too.
    expect(page.get_by_text("Latest Dag Version")).to_be_visible()
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    day = field(form, "As of").locator("input[type=date]")
    window = field(form, "Window").get_by_role("spinbutton")
    promote = field(form, "Promote").get_by_role("combobox")
    expect(field(form, "As of")).to_contain_text("The day by which the training window has ended")
    expect(field(form, "Window")).to_contain_text("Number of partitions (months) in the window")
    expect(field(form, "Promote")).to_contain_text("Whether the model may become champion")
    expect(window).to_have_value("9")
    day.fill("2013-06-01")
    window.fill("4")
    promote.click()
    page.get_by_role("option", name="no").click()
    form.get_by_role("button", name="Trigger").click()

    # The form offers today as the logical date, and leads to the run.
    page.wait_for_url("**/dags/flights_training/runs/manual__*")
    for step in ("train", "evaluate", "package", "deploy"):
        expect(page.get_by_role("link", name=step, exact=True).first).to_be_visible()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=2 * TIMEOUT_MS)
    (run,) = [run for run in airflow.api.runs("flights_training") if run.conf.get("as_of") == "2013-06-01"]
    assert {"as_of": "2013-06-01", "window": 4, "promote": "no"}.items() <= run.conf.items()
    wait_until(lambda: airflow.api.run(run.dag, run.run).has_ended, "the run to end")
    assert set(airflow.states(run).values()) == {"success"}
    assert len(airflow.states(run)) == 4
