"""Every measured number of the README is in the published results that it names."""

from decimal import Decimal
from pathlib import Path

import pytest

from measured_numbers import Block, is_found, known_programs, read_blocks

ROOT = Path(__file__).parents[1]
BLOCKS = list(read_blocks((ROOT / "README.md").read_text()))
PROGRAMS = known_programs(ROOT / "pyproject.toml")
MEASURED = [block for block in BLOCKS if block.sources and block.numbers()]


def label(block: Block) -> str:
    return "-".join(block.text.split()[:5])


@pytest.mark.parametrize("block", MEASURED, ids=label)
def test_each_number_beside_published_results_is_in_them(block):
    files = [ROOT / source.partition("#")[0] for source in block.sources]
    assert [number for number in block.numbers() if not is_found(number, files)] == []


@pytest.mark.parametrize("block", [one for one in BLOCKS if not one.sources], ids=label)
def test_no_measurement_is_without_a_published_result(block):
    assert block.measurements(PROGRAMS) == []


def test_the_blocks_with_results_are_those_that_a_reader_sees():
    numbers = [number for block in MEASURED for number in block.numbers()]
    assert {"0.0243", "0.9788", "8.2"} <= set(numbers)


def changed(number: str) -> str:
    """The number with one more or one less in its last place."""
    value = Decimal(number.replace(",", ""))
    step = Decimal(1).scaleb(int(value.as_tuple().exponent))
    return format(value + step if number[-1] != "9" else value - step, "f")


def test_a_changed_digit_is_noticed():
    """A wrong number may be in a file by chance, so most but not all changes are found."""
    missed, tried = [], 0
    for block in MEASURED:
        files = [ROOT / source.partition("#")[0] for source in block.sources]
        for number in block.numbers():
            digits = number.replace(",", "").replace(".", "").lstrip("0")
            if len(digits) >= 3 and number.count(".") < 2:
                tried += 1
                missed += [number] * is_found(changed(number), files)
    assert tried >= 40
    assert len(missed) <= tried / 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It needs 5.6 GB.", ["5.6"]),
        ("It takes 90 s, or 12 minutes, and gains 3 %.", ["90", "12", "3"]),
        ("It is 4 times as fast.", ["4"]),
        ("You need Python 3.11 or torch 2.10.", []),
        ("Four arms of 20 trials, beta1, F1 and `0.5`.", []),
    ],
)
def test_a_measurement_is_told_from_a_count_or_a_version_by_its_form(text, found):
    (block,) = read_blocks(text)
    assert block.measurements(PROGRAMS) == found


def test_a_number_is_found_as_written_or_where_a_csv_file_rounds_to_it(tmp_path):
    report, table = tmp_path / "report.md", tmp_path / "table.csv"
    report.write_text("It gained 0.0079 in 1,000 runs.")
    table.write_text("gain\n0.978551\n")
    assert is_found("0.0079", [report])
    assert is_found("1,000", [table, report])
    assert is_found("0.9786", [table])
    assert not is_found("0.9785", [table])
    assert not is_found("0.008", [report])
    assert not is_found("100", [report])
