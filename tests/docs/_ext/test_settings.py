from docs._ext.settings import markdown, variables
from include.contract import settings


def test_every_variable_has_a_meaning() -> None:
    assert [name for name, meaning in variables().items() if not meaning] == []


def test_all_variables_are_there_and_nothing_else() -> None:
    known = {value for name, value in vars(settings).items() if name.isupper() and isinstance(value, str)}
    assert variables().keys() == known
    assert "| `ML_TABLES_URI` | Where tables lie:" in markdown()
