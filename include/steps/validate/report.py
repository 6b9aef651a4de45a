"""The report of a validation: one self-contained HTML page without a row's value."""

from collections.abc import Sequence

from include.pages.rendering import rendered
from include.steps.validate.findings import SourceValidation


def html_report(project: str, partition: str, validations: Sequence[SourceValidation]) -> str:
    """
    Render the page: an overview of the sources, then each source's rules.

    :param validations: one for each source, in the order of the spec.
    """
    title = f"{project} {partition}: validation"
    return rendered("steps/validate/report.html.jinja", title=title, validations=validations)
