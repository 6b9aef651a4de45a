"""Environment variables of an installation, from the docstrings in ``include/contract/settings.py``."""

from docs._ext.docstrings import documented
from docs._ext.markdown import code, table
from include.contract import settings


def markdown() -> str:
    """A table of all variables, in the order of the module."""
    return table(("variable", "meaning"), [(code(name), meaning) for name, meaning in variables().items()])


def variables() -> dict[str, str]:
    """Name in the environment -> meaning."""
    found = documented(settings)
    return {getattr(settings, constant): meaning for constant, meaning in found.items() if _is_variable(constant)}


def _is_variable(constant: str) -> bool:
    return isinstance(getattr(settings, constant, None), str)
