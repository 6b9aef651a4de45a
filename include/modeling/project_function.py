"""A project's function: found by its name in the spec; an error in it is reported with its place, not a value."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from include.errors import ConfigurationError, PermanentError, near
from include.spec.load import shown

PROJECTS = "include.projects"


@dataclass(frozen=True)
class ProjectFunction:
    """One function of a project."""

    project: str
    key: str
    """Where the spec names it: ``model.function``."""
    value: str
    """``module:function``."""

    @property
    def label(self) -> str:
        """How messages call it."""
        module, _, name = self.value.partition(":")
        return f"include/projects/{self.project}/{module}.py:{name}"

    def find(self) -> Callable[..., Any]:
        """
        Import the function.

        :raises ConfigurationError: if there is none of that name, with a near name.
        :raises PermanentError: if its module raises when it is imported.
        """
        module_name, _, name = self.value.partition(":")
        where = f"include/projects/{self.project}/project.yaml: {self.key} is '{self.value}'"
        package = f"{PROJECTS}.{self.project}"
        if find_spec(f"{package}.{module_name}") is None:
            files = [path.stem for root in import_module(package).__path__ for path in Path(root).glob("*.py")]
            message = f"{where}, but there is no include/projects/{self.project}/{module_name}.py."
            raise ConfigurationError(message + near(module_name, files))
        try:
            module = import_module(f"{package}.{module_name}")
        except Exception as error:
            raise self.permanent_error(error, "cannot be imported: it raised") from error
        function = getattr(module, name, None)
        if not callable(function):
            known = [word for word, found in vars(module).items() if callable(found) and not word.startswith("_")]
            message = f"{where}, but {module_name}.py has no function '{name}'."
            raise ConfigurationError(message + near(name, known))
        return function  # type: ignore[no-any-return]  # what it returns is checked where it is called

    def call(self, action: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """
        Call the function, or something that it returned.

        :param action: what failed, for the message: ``raised``, ``built a model whose fit raised``.
        :raises PermanentError: if it raises; the message holds no value of a row.
        """
        try:
            return function(*arguments)
        except Exception as error:
            raise self.permanent_error(error, action) from error

    def permanent_error(self, error: Exception, action: str) -> PermanentError:
        """The error for what a project's code raised; its text is left out, as libraries quote values in theirs."""
        place = ""
        for step in traceback.extract_tb(error.__traceback__):
            if f"/projects/{self.project}/" in Path(step.filename).as_posix():
                place = f" in {shown(Path(step.filename))}, line {step.lineno} ({step.name})"
        if isinstance(error, SyntaxError) and error.lineno:
            place = f" in line {error.lineno}"
        message = (
            f"{self.label} {action} {type(error).__name__}{place}. Correct the function; values are not shown here."
        )
        return PermanentError(message)
