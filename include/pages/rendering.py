"""Templates beside the code that fills them, rendered by one Jinja environment."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_ROOT = Path(__file__).resolve().parent.parent


def rendered(template: str, **values: object) -> str:
    """
    Fill a template.

    Values are escaped, but for those of type :class:`markupsafe.Markup`. What ends with ``.md.jinja`` is Markdown and
    takes them as they are, with ``|`` escaped by the filter ``cell`` where they stand in a table; HTML that includes
    such a file escapes it whole (``{% filter forceescape %}``).

    :param template: path below ``include``, such as ``steps/evaluate/card.html.jinja``.
    :param values: by the names that the template uses.
    :return: the text, with a newline at its end.
    :raises jinja2.TemplateNotFound: if there is no such template.
    :raises jinja2.UndefinedError: if the template uses a name that has no value.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        # From the root of include, so that templates of any folder extend one layout.
        loader=FileSystemLoader(_ROOT),
        # A column's name or a value of the data must never become HTML.
        # Jinja decides for each file by its own name, also for one that another includes: all but Markdown is escaped.
        autoescape=select_autoescape(disabled_extensions=("md.jinja",), default=True),
        # Jinja's default renders a misspelt name as nothing.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(text: str) -> str:
    """A cell of a Markdown table: a bar would begin the next one, a line break would end the table."""
    return " ".join(str(text).replace("|", "/").splitlines())
