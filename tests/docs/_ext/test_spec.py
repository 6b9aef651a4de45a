from datetime import timedelta
from typing import Literal

import pytest

from docs._ext.spec import markdown, models, type_text
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec
from include.spec.sources import SourceFormat, SourceSpec
from include.spec.strict import Duration, Name, Share


def test_the_project_comes_first_and_every_model_once() -> None:
    found = models()
    assert found[0] is ProjectSpec
    assert len(found) == len(set(found))
    assert {SourceSpec, ResourceSpec} <= set(found)


def test_each_key_of_each_model_has_a_row() -> None:
    text = markdown()
    for model in models():
        section = text.partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in section, f"{model.__name__}.{name}"


def test_a_row_says_type_limit_default_and_meaning() -> None:
    assert "| `runs_at_once` | whole number, at least 1 | `2` | How many runs of a DAG may be active" in markdown()
    assert "| `timeout` | duration | none | The step is ended after this" in markdown()
    assert "| `new_columns` | `refuse` or `ignore` | `refuse` |" in markdown()


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Duration, "duration"),
        (Duration | None, "duration"),
        (dict[Name, SourceSpec], "mapping of name to [SourceSpec](#spec-sourcespec)"),
        (tuple[Share, ...], "list of share, 0 to 1"),
        (Literal["a", "b"], "`a` or `b`"),
        (SourceFormat, "`csv` or `jsonl` or `parquet` or `sql`"),
        (timedelta, "timedelta"),
    ],
)
def test_types_are_in_words(hint: object, words: str) -> None:
    assert type_text(hint) == words


def test_every_key_has_a_meaning() -> None:
    keys = [(model.__name__, name, field) for model in models() for name, field in model.model_fields.items()]
    assert [f"{model}.{name}" for model, name, field in keys if not field.description] == []
