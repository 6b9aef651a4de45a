from docs._ext.markdown import cell, table


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a", "b"), [("x|y", "two\nlines")]) == "| a | b |\n| --- | --- |\n| x\\|y | two lines |\n"


def test_literals_are_those_of_markdown() -> None:
    assert cell("``a`` and ``b``") == "`a` and `b`"
