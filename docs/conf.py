"""The documentation site: Markdown read by MyST, and reference pages made from the code. Builds without a network."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# The page of the DAGs imports Airflow, which writes its settings where this variable points.
os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".state" / "docs" / "airflow"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

project = "Airflow ML platform"
copyright = "the contributors, Apache-2.0"  # noqa: A001 (Sphinx's name for it)
extensions = ["myst_parser", "docs._ext.generated"]
exclude_patterns = ["_ext", "tutorial/example"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]  # furo puts a class in its settings
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"source_directory": "docs/"}
pygments_style = "friendly"
