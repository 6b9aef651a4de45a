import json
import subprocess
import sys

from include.spec.load import projects_folder
from include.spec.schema import FILE_NAME, schema_text


def test_the_schema_that_is_checked_in_is_that_of_the_models() -> None:
    checked_in = (projects_folder() / FILE_NAME).read_text(encoding="utf-8")
    assert checked_in == schema_text(), "run: python -m include.spec.schema"


def test_the_schema_helps_an_editor() -> None:
    schema = json.loads(schema_text())
    assert schema["additionalProperties"] is False
    assert "sources" in schema["required"]
    column = schema["$defs"]["ColumnSpec"]["properties"]
    assert column["known"]["description"].startswith("When the value becomes known")
    assert schema["$defs"]["TimeSpec"]["properties"].keys() >= {"from", "add_minutes"}


def test_the_first_line_of_a_spec_names_the_schema() -> None:
    first = (projects_folder() / "flights" / "project.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema=../{FILE_NAME}"


def test_parsing_a_spec_imports_no_data_library() -> None:
    program = (
        "import sys; from include.spec.load import load_project; load_project('flights')\n"
        "names = ('pandas','numpy','sklearn','mlflow','great_expectations','boto3','deltalake','pyarrow','airflow')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
