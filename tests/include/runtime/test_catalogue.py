import subprocess
import sys

import pytest

from include.contract.step_names import StepName
from include.runtime.catalogue import STEPS


@pytest.mark.parametrize("step", StepName)
def test_every_word_says_what_it_does(step: StepName) -> None:
    entry = STEPS[step]
    assert len(entry.summary) > 20
    assert all(len(option.meaning) > 10 for option in entry.options)


def test_the_catalogue_imports_no_step_and_no_data_library() -> None:
    program = (
        "import sys, include.runtime.catalogue\n"
        "words = [f'include.steps.{step.value}.step' for step in include.runtime.catalogue.STEPS]\n"
        "names = [*words, 'pandas', 'numpy', 'sklearn', 'mlflow', 'great_expectations', 'deltalake', 'pyarrow']\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
