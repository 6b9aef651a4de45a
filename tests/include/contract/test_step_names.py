import re
import subprocess
import sys

from include.contract.step_names import StepName
from include.runtime.catalogue import STEPS


def test_the_words_are_the_same_everywhere() -> None:
    assert list(StepName) == list(STEPS)
    assert all(re.fullmatch("[a-z]+", step.value) for step in StepName)


def test_the_contract_needs_no_data_library() -> None:
    program = (
        "import sys, include.contract.command, include.contract.layout, include.contract.partition\n"
        "import include.contract.receipt, include.contract.settings\n"
        "names = ('pandas','numpy','sklearn','mlflow','boto3','deltalake','pyarrow','airflow','yaml')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
