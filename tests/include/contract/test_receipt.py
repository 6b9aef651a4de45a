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
from include.contract.results import TrainResults, ValidateResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, UnreadableFormatError
from tests.support.step_results import LEAST, least

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
        "results": {"step": "validate", "broken": {"weather": {"unique_key": 1}}},
        "code_digest": "sha256:00",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "finished_at": datetime(2026, 1, 2, tzinfo=UTC),
        "host": "here",
    }
    return Receipt.model_validate(fields | changes)


def test_a_receipt_comes_back_from_its_bytes() -> None:
    receipt = _receipt()
    data = canonical_json(receipt.model_dump(mode="json"))
    assert Receipt.from_json(data, "receipts/x") == receipt
    assert canonical_json(Receipt.from_json(data, "receipts/x").model_dump(mode="json")) == data


def test_a_receipt_of_another_format_or_with_unknown_fields_is_refused() -> None:
    with pytest.raises(ValidationError, match="format"):
        _receipt(format=3)
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


def _of_format_1(step: str, results: dict[str, Any]) -> bytes:
    """A receipt as the version before typed results wrote it."""
    written = _receipt().model_dump(mode="json") | {"format": 1, "step": step, "results": results}
    return canonical_json(written)


@pytest.mark.parametrize("step", [step for step in StepName if step is not StepName.VALIDATE])
def test_a_receipt_of_format_1_whose_results_mean_the_same_is_read(step: StepName) -> None:
    found = Receipt.from_json(_of_format_1(step, LEAST[step]), "receipts/x")
    assert (found.format, found.step, found.results) == (2, step, least(step))


def test_format_1_had_the_broken_rules_of_validate_by_themselves() -> None:
    broken = {"weather": {"unique_key": 2}, "step": {}}
    found = Receipt.from_json(_of_format_1("validate", broken), "receipts/x")
    assert found.results_of(ValidateResults).broken == broken


def test_a_receipt_of_format_1_that_says_less_is_refused_with_what_to_do() -> None:
    data = _of_format_1("features", {"feature_set": "delay_v1"})
    with pytest.raises(UnreadableFormatError) as caught:
        Receipt.from_json(data, "receipts/x")
    told = str(caught.value)
    assert told.startswith("Receipt receipts/x is of format 1, and its results are not what is read today")
    assert "Run step 'features' for 2013-03 again with this version" in told


def test_a_receipt_of_a_newer_format_is_refused_with_what_to_do() -> None:
    data = canonical_json(_receipt().model_dump(mode="json") | {"format": 3, "mood": "good"})
    message = (
        r"Receipt receipts/x is of format 3; this version of the platform writes format 2\. Run step 'validate' for "
        r"2013-03 again with this version, or go on with the version that wrote it\."
    )
    with pytest.raises(UnreadableFormatError, match=message):
        Receipt.from_json(data, "receipts/x")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"format": 1}', b'{"format": 2}', b'{"format": "2"}'])
def test_what_is_no_receipt_is_damaged(data: bytes) -> None:
    with pytest.raises(
        DataRejectedError, match=r"Receipt receipts/x is damaged: .*Remove it and run its step"
    ) as caught:
        Receipt.from_json(data, "receipts/x")
    assert not isinstance(caught.value, UnreadableFormatError)


def test_results_are_those_of_the_step_of_the_receipt() -> None:
    with pytest.raises(ValidationError, match="a receipt of validate cannot hold results of score"):
        _receipt(results=least("score"))


def test_results_are_asked_for_by_their_kind() -> None:
    receipt = _receipt()
    assert receipt.results_of(ValidateResults) is receipt.results
    with pytest.raises(DataRejectedError, match="is one of step 'validate', not TrainResults"):
        receipt.results_of(TrainResults)
