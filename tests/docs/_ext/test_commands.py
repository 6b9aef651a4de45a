from docs._ext.commands import make_markdown, markdown, targets
from include.contract.step_names import StepName


def test_each_word_has_a_section_with_its_own_options_only() -> None:
    text = markdown()
    for step in StepName:
        assert f"### `{step.value}`" in text
    ingest = text.partition("### `ingest`")[2].partition("### ")[0]
    assert "`--source SOURCE`" in ingest
    assert "--project" not in ingest


def test_common_options_stand_once_for_the_steps_and_once_for_the_rollback() -> None:
    assert markdown().count("`--partition PARTITION`") == 1
    assert markdown().count("`--project PROJECT`") == 2


def test_hidden_options_stay_hidden() -> None:
    assert "--bundle" in markdown()
    assert "--control-socket" not in markdown()


def test_targets_are_those_of_make_help() -> None:
    assert {"run", "test", "check", "docs"} <= targets().keys()
    assert "| `make down` | Stop what 'make up' started |" in make_markdown()
