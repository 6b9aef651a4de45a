import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from docs._ext.generated import SOURCES
from local_platform.checks import site_words
from local_platform.cluster import settings
from local_platform.locations import REPOSITORY

DOCS = REPOSITORY / "docs"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A repository whose site has one page."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_text("extensions = ['myst_parser']\nproject = 'one page'\n")
    return tmp_path


def build(site: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (site / "docs" / "index.md").write_text(text)
    return subprocess.run(site_words(site), cwd=site, check=False, capture_output=True, text=True)


def test_a_page_becomes_html(site: Path) -> None:
    done = build(site, "# A page\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "A page" in (site / ".state" / "docs" / "html" / "index.html").read_text()


def test_a_warning_fails_the_build_also_the_second_time(site: Path) -> None:
    for _ in range(2):
        done = build(site, "# A page\n\n[lost](nowhere.md)\n")
        assert done.returncode == 1
        assert "nowhere.md" in done.stderr


def test_every_generated_part_stands_on_one_page() -> None:
    text = "\n".join(path.read_text() for path in DOCS.rglob("*.md"))
    assert sorted(re.findall(r"^```\{generated\} (\S+)$", text, re.MULTILINE)) == sorted(SOURCES)


def test_the_site_asks_nothing_of_the_network() -> None:
    configuration = runpy.run_path(str(DOCS / "conf.py"))
    assert "intersphinx" not in " ".join(configuration["extensions"])
    assert not {"html_js_files", "html_css_files"} & configuration.keys()


def test_readme_and_pages_link_to_files_that_exist() -> None:
    pages = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    for page in [*pages, *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
            if "://" not in target and not target.startswith("/"):
                assert (page.parent / target).exists(), f"{page.relative_to(REPOSITORY)} links to {target}"


def test_readme_and_architecture_name_every_folder_of_the_step_image() -> None:
    folders = sorted(path.parent.name for path in (REPOSITORY / "include").glob("*/__init__.py"))
    readme = (REPOSITORY / "README.md").read_text()
    assert [name for name in folders if f"      {name}/ " not in readme] == []
    layers = (DOCS / "explanation" / "architecture.md").read_text()
    assert [name for name in folders if f"`{name}`" not in layers and name != "projects"] == []


def test_forms_for_issues_can_be_read_and_ask_something() -> None:
    for path in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("[bf]*.yml"):
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        assert all(question["attributes"]["label"] for question in form["body"])


def test_every_cluster_variable_is_explained() -> None:
    page = (DOCS / "how-to" / "cluster.md").read_text()
    known = {value for value in vars(settings).values() if isinstance(value, str) and value.startswith("CLUSTER_")}
    assert [name for name in sorted(known) if name not in page] == []
