"""A project's function: imported by its name in the spec; its errors are reported with file and line, not a value."""

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
        """Its name in messages: file and function."""
        module, _, name = self.value.partition(":")
        return f"include/projects/{self.project}/{module}.py:{name}"

    def find(self) -> Callable[..., Any]:
        """
        Import the function.

        :raises ConfigurationError: if no function has that name; the message suggests a similar one.
        :raises PermanentError: if its module raises when it is imported.
        """
        module_name, _, name = self.value.partition(":")
        where = f"include/projects/{self.project}/project.yaml: {self.key} is '{self.value}'"
        package = f"{PROJECTS}.{self.project}"
        # An ImportError would not tell a file that is missing from an import in it that fails.
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
            known = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
            message = f"{where}, but {module_name}.py has no function '{name}'."
            raise ConfigurationError(message + near(name, known))
        return function  # type: ignore[no-any-return]  # what it returns is checked where it is called

    def call(self, action: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """
        Call the function, or a method of an object that it returned.

        :param action: what failed, for the message: ``raised``, ``built a model whose fit raised``.
        :param function: the function of :meth:`find`, or such a method.
        :raises PermanentError: if it raises; the message holds no value of a row.
        """
        try:
            return function(*arguments)
        except Exception as error:
            raise self.permanent_error(error, action) from error

    def permanent_error(self, error: Exception, action: str) -> PermanentError:
        """
        The error that reports what a project's code raised.

        :param action: what failed, for the message.
        """
        # Without the text of the error: pandas and scikit-learn quote values of rows in theirs.
        location = ""
        for step in traceback.extract_tb(error.__traceback__):
            if f"/projects/{self.project}/" in Path(step.filename).as_posix():
                location = f" in {shown(Path(step.filename))}, line {step.lineno} ({step.name})"
        if isinstance(error, SyntaxError) and error.lineno:
            location = f" in line {error.lineno}"
        message = (
            f"{self.label} {action} {type(error).__name__}{location}. Correct the function; values are not shown here."
        )
        return PermanentError(message)
