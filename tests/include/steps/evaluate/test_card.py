"""The model card."""

from html.parser import HTMLParser

import pytest

from include.contract.results import EvaluateResults
from include.contract.step_names import StepName
from tests.support.worlds.training_world import MONTHS, World, toy_rows, toy_spec

EVIL = "<script>alert(1)</script>"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (the parent's)
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def evil(toy: object) -> World:
    """A place whose name is a script, and a model whose description is one."""
    world = World(spec=toy_spec(model__description=EVIL))
    for month in MONTHS:
        rows = toy_rows(month)
        world.add(month, rows.assign(place=rows["place"].where(rows["place"] != "west", EVIL)))
    world.done(StepName.TRAIN)
    return world


def _reports(world: World) -> dict[str, str]:
    reports = world.done(StepName.EVALUATE).results_of(EvaluateResults).reports
    return {kind: world.objects.get(key).decode() for kind, key in reports.items()}


def test_texts_of_data_and_spec_are_no_markup(evil: World) -> None:
    page = _Page()
    page.feed(_reports(evil)["html"])

    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 2


def test_html_and_markdown_tell_the_same(evil: World) -> None:
    reports = _reports(evil)
    page = _Page()
    page.feed(reports["html"])

    for line in reports["markdown"].splitlines():
        if line.startswith("| ") and "---" not in line:
            for cell in line.strip("| ").split(" | "):
                assert cell.strip() in page.text
    assert page.tags.count("svg") == 5
    assert page.tags.count("table") == 7


def test_no_row_is_shown(world: World) -> None:
    rows = toy_rows("2024-05").assign(size=lambda frame: frame["size"] + 0.123456789)
    world.add("2024-05", rows)
    world.done(StepName.TRAIN)

    whole = "".join(_reports(world).values())

    values = {f"{value:.6f}" for value in rows["size"]} | {str(moment) for moment in rows["at"]}
    assert [value for value in values if value in whole] == []
