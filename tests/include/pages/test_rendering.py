import re
from pathlib import Path

import jinja2
import pytest
from markupsafe import Markup

import include.pages.rendering
from include.pages.rendering import rendered

ROOT = Path(include.pages.rendering.__file__).parent.parent
TEMPLATES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.jinja"))


def test_html_is_escaped_but_for_markup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.html.jinja").write_text("{{ text }}{{ plot }}\n")
    (tmp_path / "note.jinja").write_text("{{ text }}")
    (tmp_path / "a.md.jinja").write_text("{{ text }} {{ text|cell }}\n")
    with monkeypatch.context() as patched:
        patched.setattr(include.pages.rendering, "_ROOT", tmp_path)
        include.pages.rendering._environment.cache_clear()
        try:
            html = rendered("a.html.jinja", text="<b>|", plot=Markup("<svg/>"))
            note = rendered("note.jinja", text="<b>")
            markdown = rendered("a.md.jinja", text="<b>|\nx")
        finally:
            include.pages.rendering._environment.cache_clear()
    assert html == "&lt;b&gt;|<svg/>\n"
    assert note == "&lt;b&gt;"
    assert markdown == "<b>|\nx <b>/ x\n"


def test_a_value_that_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError, match="title"):
        rendered("pages/page.html.jinja")


def test_every_page_shares_the_layout() -> None:
    pages = [name for name in TEMPLATES if name.endswith(".html.jinja") and name != "pages/page.html.jinja"]
    assert len(pages) >= 4
    for name in pages:
        assert '{% extends "pages/page.html.jinja" %}' in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.endswith(".md.jinja")])
def test_a_page_escapes_the_markdown_that_it_includes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    included = re.findall(r'{% include "[^"]*[.]md[.]jinja" %}', text)
    escaped = re.findall(r'{% filter forceescape %}{% include "[^"]*[.]md[.]jinja" %}{% endfilter %}', text)
    assert len(included) == len(escaped)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_asks_no_other_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
