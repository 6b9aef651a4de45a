"""Finding a project's function, and blaming it without telling a value."""

from pathlib import Path

import pytest

from include.errors import ConfigurationError, PermanentError
from include.modeling.project_function import ProjectFunction


def _function(value: str) -> ProjectFunction:
    return ProjectFunction(project="toy", key="model.function", value=value)


def test_a_function_is_found_by_module_and_name(toy: Path) -> None:
    assert _function("model:build").find().__name__ == "build"


def test_a_missing_module_or_function_names_a_near_one(toy: Path) -> None:
    where = r"include/projects/toy/project\.yaml: model\.function is"
    with pytest.raises(ConfigurationError, match=rf"{where} 'modell:build', but there is no .*Did you mean 'model'\?"):
        _function("modell:build").find()
    with pytest.raises(ConfigurationError, match=rf"{where} 'model:built', but .*Did you mean 'build'\?"):
        _function("model:built").find()


def test_a_module_that_does_not_compile_is_named_with_its_line(toy: Path) -> None:
    with pytest.raises(PermanentError, match=r"broken\.py:build cannot be imported: it raised SyntaxError in line 2"):
        _function("broken:build").find()


def test_what_raises_is_named_with_its_place_and_without_its_text(toy: Path) -> None:
    function = _function("model:build_raising")

    with pytest.raises(
        PermanentError, match=r"raised ValueError in include/projects/toy/model\.py, line \d+"
    ) as raised:
        function.call("raised", function.find(), {})
    assert "4711" not in str(raised.value)


def test_what_the_function_returned_is_handed_on(toy: Path) -> None:
    function = _function("model:build_list")

    assert function.call("raised", function.find(), {}) == ["no", "model"]
