import pytest

from docs._ext.generated import ROOT, SOURCES


@pytest.mark.airflow
@pytest.mark.parametrize("name", SOURCES)
def test_each_part_is_made_and_its_files_exist(name: str) -> None:
    assert SOURCES[name].markdown().strip()
    for pattern in SOURCES[name].files:
        assert list(ROOT.glob(pattern)), pattern
