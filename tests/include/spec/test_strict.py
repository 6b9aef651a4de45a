from datetime import timedelta

import pytest
from pydantic import ValidationError

from include.spec.strict import Duration, StrictModel


class _Part(StrictModel):
    wait: Duration
    """How long."""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("-2h", -7200), ("1d", 86400), ("0s", 0), ("1h", 3600)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    part = _Part.model_validate({"wait": text})
    assert part.wait == timedelta(seconds=seconds)
    assert _Part.model_validate(part.model_dump(mode="json")) == part


@pytest.mark.parametrize("value", ["", "90", "s", "1.5h", "1w", "2 h", 90, None, "PT1H"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match=r"is no duration; write a whole number and a unit of s, m, h or d"):
        _Part.model_validate({"wait": value})


def test_a_length_of_time_is_taken_as_it_is() -> None:
    assert _Part(wait=timedelta(minutes=1)).wait == timedelta(minutes=1)


def test_an_unknown_key_is_an_error_with_a_near_one() -> None:
    with pytest.raises(ValidationError, match=r"'wiat' is no key here; known keys: wait\. Did you mean 'wait'\?"):
        _Part.model_validate({"wiat": "1s"})


def test_field_docstrings_become_descriptions() -> None:
    assert _Part.model_json_schema()["properties"]["wait"]["description"] == "How long."
