from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from include.contract.receipt import (
    ModelState,
    ObjectState,
    Outcome,
    OutcomeStatus,
    Receipt,
    State,
    TableState,
    canonical_json,
    identity_of,
)

TABLE = TableState(name="flights/raw/weather", partition="2013-03", version=4, digest="sha256:ab", row_count=7)
FILE = ObjectState(name="reports/a.html", digest="sha256:cd", size_bytes=3)
MODEL = ModelState(name="delay", run_id="r1", version=2, digest="sha256:ef")
PARTS: dict[str, Any] = {
    "step": "validate",
    "project": "flights",
    "subject": "2013-03",
    "parameters": {"a": 1},
    "inputs": (TABLE, FILE),
    "code": "sha256:00",
}


def _receipt(**changes: Any) -> Receipt:
    fields = {
        "identity": "ab12",
        "step": "validate",
        "project": "flights",
        "subject": "2013-03",
        "partition": "2013-03",
        "run": "by-hand",
        "attempt": 1,
        "parameters": {},
        "inputs": (TABLE,),
        "outputs": (TABLE, FILE, MODEL),
        "row_counts": {"read": 7},
        "results": {"list": [1, "a", None]},
        "code_digest": "sha256:00",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "finished_at": datetime(2026, 1, 2, tzinfo=UTC),
        "host": "here",
    }
    return Receipt.model_validate(fields | changes)


def test_a_receipt_comes_back_from_its_bytes() -> None:
    receipt = _receipt()
    data = canonical_json(receipt.model_dump(mode="json"))
    assert Receipt.model_validate_json(data) == receipt
    assert canonical_json(Receipt.model_validate_json(data).model_dump(mode="json")) == data


def test_a_receipt_of_another_format_or_with_unknown_fields_is_refused() -> None:
    with pytest.raises(ValidationError, match="format"):
        _receipt(format=2)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        _receipt(surprise=1)
    with pytest.raises(ValidationError, match="kind"):
        _receipt(outputs=({"kind": "file", "name": "x"},))


def test_output_tables_are_found_by_their_layer() -> None:
    assert _receipt().tables("raw") == [TABLE]
    assert _receipt().tables("features") == []


def test_equal_parts_name_the_same_work_whatever_the_order() -> None:
    again = {**PARTS, "inputs": (FILE, TABLE), "parameters": {"a": 1}}
    assert identity_of(**PARTS) == identity_of(**again)
    assert len(identity_of(**PARTS)) == 64


def test_in_which_version_an_input_lay_does_not_matter() -> None:
    moved = TABLE.model_copy(update={"version": 9})
    assert identity_of(**{**PARTS, "inputs": (moved, FILE)}) == identity_of(**PARTS)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("step", "features"),
        ("project", "bikes"),
        ("subject", "2013-04"),
        ("parameters", {"a": 2}),
        ("code", "sha256:01"),
        ("inputs", (TABLE,)),
        ("inputs", (TABLE.model_copy(update={"digest": "sha256:xx"}), FILE)),
        ("inputs", (TABLE.model_copy(update={"partition": "2013-02"}), FILE)),
        ("inputs", (TABLE, FILE.model_copy(update={"name": "reports/b.html"}))),
        ("inputs", (TABLE, FILE, MODEL)),
    ],
)
def test_another_part_is_other_work(part: str, value: object) -> None:
    assert identity_of(**{**PARTS, part: value}) != identity_of(**PARTS)


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "ä"}) == b'{"a":"\\u00e4","b":[1,2.5,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_an_outcome_comes_back_from_its_bytes() -> None:
    outcome = Outcome(
        status=OutcomeStatus.FAILED,
        exit_code=65,
        step="validate",
        project="flights",
        subject="2013-03",
        run="r",
        attempt=1,
        message="Too many bad rows.",
        seconds=1.5,
    )
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


@pytest.mark.parametrize("state", [TABLE, FILE, MODEL])
def test_states_do_not_change(state: State) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        state.name = "other"  # type: ignore[misc]  # that is what is refused
