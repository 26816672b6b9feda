import pytest

from bakeoff.commands.output import print_table


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0.123456, "0.1235"), (9876.54, "9877"), (52134.2, "52134"), (3.2e11, "3.2e+11")],
)
def test_numbers_of_a_usual_size_are_shown_without_an_exponent(capsys, number, shown):
    print_table(["rmse"], [[number]])
    assert capsys.readouterr().out.split() == ["rmse", shown]


def test_a_table_without_headings_begins_with_its_first_row(capsys):
    print_table(["", ""], [["torch", "2.14"]])
    assert capsys.readouterr().out.rstrip() == "torch  2.14"
