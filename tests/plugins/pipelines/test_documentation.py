from include.spec.load import load_project
from plugins.pipelines.documentation import data_doc, scoring_doc, training_doc
from tests.support.spec_kit import parsed


def test_the_data_doc_names_every_source_column_check_and_feature_with_its_meaning() -> None:
    spec, text = load_project("flights"), data_doc(load_project("flights"))
    for name, source in spec.sources.items():
        assert f"## Source: {name}\n\n{source.description}" in text
        for column, meant in source.columns.items():
            assert f"| {column} | {meant.type.value} | {meant.meaning} | {meant.known} |" in text
        for check in source.checks:
            assert check.rule.removeprefix("expect_").replace("_", " ") in text
    for name, feature in spec.feature_set.columns.items():
        assert f"| {name} | {feature.type.value} | {feature.meaning} |" in text


def test_the_data_doc_names_the_task_of_a_source_that_has_its_own() -> None:
    text = data_doc(parsed({"sources.weather.own_task": True}))
    assert "Key: `day`. Ingested by the task `ingest_weather`.\n" in text
    assert "Key: `id`.\n" in text


def test_the_training_doc_names_target_window_and_gates() -> None:
    spec, text = load_project("flights"), training_doc(load_project("flights"))
    assert spec.target.meaning in text
    assert f"**Window** {spec.split.window} partitions" in text
    for gate in spec.evaluation.gates:
        assert gate.metric in text


def test_every_doc_names_the_owner() -> None:
    spec = load_project("flights")
    for text in (data_doc(spec), training_doc(spec), scoring_doc(spec)):
        assert text.startswith(f"# {spec.title}\n")
        assert spec.owner.email in text
