import shutil
from pathlib import Path

import pytest
import yaml

from include.errors import ConfigurationError
from include.spec.load import load_project, parse_project, project_names, projects_folder, shown
from tests.support.spec_kit import PATH, document


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path / "include" / "projects"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "project.yaml").write_text(yaml.safe_dump(document(), sort_keys=False))
    (folder / "no_project").mkdir()
    return folder


def test_projects_are_known_by_their_file(projects: Path) -> None:
    assert project_names(projects) == ["shop"]
    assert load_project("shop", projects).title == "Late parcels"


def test_projects_lie_beside_the_code() -> None:
    assert (projects_folder() / "flights" / "project.yaml").is_file()


def test_a_project_that_does_not_exist_is_an_error_with_a_near_name(projects: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no project 'shp' .*known: shop\. Did you mean 'shop'\?"):
        load_project("shp", projects)


def test_a_folder_of_another_name_is_an_error(projects: Path) -> None:
    shutil.copytree(projects / "shop", projects / "store")
    with pytest.raises(ConfigurationError, match=r"name is 'shop', but the project's folder is 'store'"):
        load_project("store", projects)


def test_a_changed_file_is_read_again(projects: Path) -> None:
    assert load_project("shop", projects) is load_project("shop", projects)
    (projects / "shop" / "project.yaml").write_text(
        yaml.safe_dump({**document(), "title": "Other parcels"}, sort_keys=False)
    )
    assert load_project("shop", projects).title == "Other parcels"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", r"include/projects/shop/project\.yaml is not YAML: "),
        ("a: 1\nb: 2\na: 3\n", r"is not YAML: .*key 'a' occurs twice, again in line 3"),
        ("", r"include/projects/shop/project\.yaml: "),
        ("- a\n- b\n", r"include/projects/shop/project\.yaml: "),
        ("!!python/object/apply:os.system [echo]", "is not YAML"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_project(text, PATH)


def test_a_typo_in_a_key_is_an_error_with_the_known_keys_and_a_near_one() -> None:
    text = yaml.safe_dump(document(), sort_keys=False).replace("feature_set:", "feature_sett:")
    with pytest.raises(ConfigurationError, match=r"'feature_sett' is no key here; known keys: .*mean 'feature_set'\?"):
        parse_project(text, PATH)


def test_a_typo_deep_inside_names_the_whole_path() -> None:
    wrong = document()
    wrong["sources"]["parcels"]["columns"]["weight"]["meening"] = "x"
    message = r"sources\.parcels\.columns\.weight.*'meening' is no key here.*Did you mean 'meaning'\?"
    with pytest.raises(ConfigurationError, match=message):
        parse_project(yaml.safe_dump(wrong, sort_keys=False), PATH)


def test_a_wrong_choice_is_an_error_with_a_near_one() -> None:
    wrong = document()
    wrong["evaluation"]["gates"][0]["metric"] = "roc_acu"
    with pytest.raises(ConfigurationError, match=r"gates\[0\]\.metric: is 'roc_acu'.*'\. Did you mean 'roc_auc'\?"):
        parse_project(yaml.safe_dump(wrong, sort_keys=False), PATH)


def test_an_unknown_rule_is_an_error_with_a_near_one() -> None:
    wrong = document()
    wrong["sources"]["parcels"]["checks"][0]["rule"] = "expect_column_values_to_be_betwen"
    with pytest.raises(ConfigurationError, match=r"checks\[0\].*Did you mean 'expect_column_values_to_be_between'\?"):
        parse_project(yaml.safe_dump(wrong, sort_keys=False), PATH)


def test_on_is_a_key_and_only_true_and_false_are_booleans() -> None:
    text = yaml.safe_dump(document(), sort_keys=False).replace("'on':", "on:")
    assert " on:\n" in text
    assert parse_project(text, PATH).feature_set.joins[0].on == {"day": "day"}
    with pytest.raises(ConfigurationError, match=r"when_null: is 'maybe'"):
        parse_project(text.replace("when_null: false", "when_null: maybe"), PATH)


def test_all_mistakes_are_reported_at_once_up_to_ten() -> None:
    wrong = document()
    wrong["grain"], wrong["timezone"], wrong["owner"]["email"] = "week", "Mars", "nobody"
    with pytest.raises(ConfigurationError, match="grain") as caught:
        parse_project(yaml.safe_dump(wrong, sort_keys=False), PATH)
    assert len(str(caught.value).splitlines()) == 3


def test_a_path_is_shown_from_the_root_of_the_repository_on() -> None:
    assert shown(Path("/srv/bundle/include/projects/shop/project.yaml")) == "include/projects/shop/project.yaml"
    assert shown(Path("/elsewhere/project.yaml")) == "/elsewhere/project.yaml"
