from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training_world import toy_project


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bundle")
    with toy_project(folder):
        yield folder
