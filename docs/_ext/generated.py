"""
The directive ``generated``: a part of a page that is made from the code when the site is built.

    ```{generated} settings
    ```

A page is built anew when a file that its part is made from has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from docs._ext import commands, dags, decisions, exit_codes, metrics, settings, spec
from include.errors import listed

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Source:
    """One generated part."""

    markdown: Callable[[], str]
    """Makes it."""
    files: Sequence[str]
    """Patterns, from the repository's root, of the files that it is made from."""


SOURCES: Mapping[str, Source] = {
    "spec": Source(spec.markdown, ["include/spec/*.py"]),
    "make": Source(commands.make_markdown, ["Makefile"]),
    "commands": Source(commands.markdown, ["include/*/__main__.py", "include/runtime/c*.py"]),
    "settings": Source(settings.markdown, ["include/contract/settings.py"]),
    "exit-codes": Source(exit_codes.markdown, ["include/errors.py"]),
    "metrics": Source(metrics.markdown, ["include/stores/metrics/*.py", "helm-values/cluster/base/statsd/*"]),
    "served-metrics": Source(metrics.served_markdown, ["include/serving/*.py"]),
    "dags": Source(dags.markdown, ["plugins/pipelines/*.py", "dags/*.py"]),
    "params": Source(dags.params_markdown, ["plugins/pipelines/*.py", "include/projects/flights/project.yaml"]),
    "decisions": Source(decisions.markdown, ["docs/adr/*.md"]),
}


class Generated(SphinxDirective):
    """Replaced by Markdown that the named source makes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """
        Parse what the source made, headings included.

        :raises ExtensionError: if no source has that name.
        """
        name = self.arguments[0]
        if name not in SOURCES:
            raise self.error(f"'{name}' is no generated part; known: {listed(SOURCES)}.")
        for pattern in SOURCES[name].files:
            for path in sorted(ROOT.glob(pattern)):
                self.env.note_dependency(str(path))
        made: list[nodes.Node] = self.parse_text_to_nodes(SOURCES[name].markdown(), allow_section_headings=True)
        return made


def setup(app: "Sphinx") -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
