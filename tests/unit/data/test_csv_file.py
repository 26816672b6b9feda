import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.data.csv_file import Table, read_csv
from bakeoff.errors import DataError

FLOWERS = """\
length,colour,width,kind
1.5,red,2,tulip
2.5,blue,3,rose
-1e3,red,4,tulip
"""


def read(tmp_path: Path, content: str | bytes, **changes: Any) -> Table:
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(path, **{"target": None, "task": "classification", **changes})


def feature_names(table: Table) -> tuple[str, ...]:
    return tuple(feature.name for feature in table.columns)


def test_numbers_are_features_and_text_gives_one_for_each_value(tmp_path: Path) -> None:
    table = read(tmp_path, FLOWERS)
    assert feature_names(table) == ("length", "colour=blue", "colour=red", "width")
    assert table.features.tolist() == [[1.5, 0, 1, 2], [2.5, 1, 0, 3], [-1000, 0, 1, 4]]
    assert table.features.dtype == np.float32


def test_the_last_column_is_the_target_and_its_values_the_classes(tmp_path: Path) -> None:
    table = read(tmp_path, FLOWERS)
    assert table.class_names == ("rose", "tulip")
    assert table.labels.tolist() == [1, 0, 1]


def test_another_column_can_be_the_target(tmp_path: Path) -> None:
    table = read(tmp_path, FLOWERS, target="width")
    assert table.class_names == ("2", "3", "4")
    assert feature_names(table) == (
        "length",
        "colour=blue",
        "colour=red",
        "kind=rose",
        "kind=tulip",
    )


def test_numbers_as_classes_are_sorted_as_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n1,10\n2,9\n3,-1.0\n")
    assert table.class_names == ("-1", "9", "10")
    assert table.labels.tolist() == [2, 1, 0]


def test_targets_of_regression_are_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, FLOWERS, target="length", task="regression")
    assert table.labels.tolist() == [1.5, 2.5, -1000]
    assert (table.labels.dtype, table.class_names) == (np.float64, ())


LABELS = "size,red,tall,hot\n1.5,0,true,1\n2,1,false,0\n3,1,true,0\n"


def test_several_columns_of_0_and_1_are_labels_by_their_names(tmp_path: Path) -> None:
    table = read(tmp_path, LABELS, target=("hot", "tall"), task="multilabel")
    assert feature_names(table) == ("size", "red")
    assert (table.labels.tolist(), table.labels.dtype) == ([[1, 1], [0, 0], [0, 1]], np.uint8)
    assert table.class_names == ("hot", "tall")


def test_several_columns_of_numbers_are_targets_by_their_names(tmp_path: Path) -> None:
    table = read(tmp_path, FLOWERS, target=("length", "width"), task="regression")
    assert (table.labels.tolist(), table.labels.dtype) == ([[1.5, 2], [2.5, 3], [-1000, 4]], float)
    assert table.class_names == ("length", "width")
    assert feature_names(table)[0] == "colour=blue"


def test_a_target_of_one_value_is_said_by_its_name(tmp_path: Path) -> None:
    rows = "size,open,year\n1.5,2,7\n2,3,7\n3,5,7\n"
    both = read(tmp_path, rows, target=("open", "year"), task="regression")
    assert both.notes == ("targets with one value only tell nothing: year",)
    one = read(tmp_path, rows, target="year", task="regression")
    assert one.notes == ("all targets have one value, so there is nothing to predict",)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (LABELS, ("hot", "size"), "target 'size' holds '1.5' in row 1; a label is 1 where a row"),
        (LABELS, ("hot", "tal"), "data.target: unknown column 'tal'; did you mean 'tall'"),
        (LABELS, ("size", "red", "tall", "hot"), "every column is a target, so there are no feat"),
        (
            LABELS.replace("0\n", "no\n"),
            ("hot", "red"),
            "target 'hot' holds 'no' in row 2; a label",
        ),
    ],
)
def test_a_column_that_holds_no_label_is_refused_naming_the_row(
    tmp_path: Path, content: str, target: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, target=target, task="multilabel")


@pytest.mark.parametrize(
    "content",
    [
        FLOWERS.replace(",", ";"),
        FLOWERS.replace(",", "\t"),
        FLOWERS.replace(",", "|"),
        "sep=;\r\n" + FLOWERS.replace(",", ";"),
        "\n  \n" + FLOWERS,
        FLOWERS.replace("width", '"width"').replace("length", '" length\n"'),
        FLOWERS.replace("\n", "\r\n"),
        FLOWERS.replace("red", '"red"').replace("colour", '"colour"'),
        FLOWERS.removesuffix("\n"),
        FLOWERS.encode("utf-8-sig"),
        gzip.compress(FLOWERS.encode()),
    ],
    ids=[
        "semicolon",
        "tab",
        "bar",
        "excel",
        "blank lines",
        "wrapped",
        "windows",
        "quotes",
        "no last line feed",
        "mark",
        "gzip",
    ],
)
def test_other_ways_to_write_the_same_table_read_the_same(
    tmp_path: Path, content: str | bytes
) -> None:
    table, expected = read(tmp_path, content), read(tmp_path, FLOWERS)
    assert table.features.tolist() == expected.features.tolist()
    assert feature_names(table) == feature_names(expected)
    assert (table.labels.tolist(), table.class_names) == ([1, 0, 1], ("rose", "tulip"))


def test_words_that_other_programs_take_for_missing_are_words(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b,c\n1,None,x\n2,NA,y\n")
    assert feature_names(table) == ("a", "b=NA", "b=None")


def many(cell: str) -> str:
    return "a,b\n" + "".join(f"{cell.format(row)},{row % 2}\n" for row in range(2000))


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        ("", {}, "is empty"),
        ("a,b\n", {}, "has a header and no rows"),
        ("a\n1\n", {}, "has one column; allowed are two or more.* comma, semicolon, tab or bar"),
        ("a,,b\n1,2,3\n", {}, "column 2 of the header has no name"),
        ("a,b,a\n1,2,3\n", {}, "the header names 'a' twice"),
        (FLOWERS, {"target": "knd"}, "data.target: unknown column 'knd'; did you mean 'kind'"),
        (FLOWERS.replace("2.5", ""), {}, r"column 'length' has no value in row 2 \(1 cells"),
        (FLOWERS.replace("2.5", "nan"), {}, "column 'length' has no value in row 2"),
        ("a,b\n1,0\n2,NaN\n3,1\n", {}, "column 'b' has no value in row 2"),
        (FLOWERS.replace(",rose", ""), {}, "column 'kind' has no value in row 2"),
        (FLOWERS.replace("rose", "rose,9"), {}, "Expected 4 fields in line 3, saw 5"),
        (FLOWERS.replace("tulip", "tulip,9").replace("rose", "rose,8"), {}, "more cells than the header"),
        (FLOWERS.replace("2.5", "2.5 cm"), {}, "column 'length' holds '2.5 cm' in row 2, else numbers"),
        (FLOWERS.replace("2.5", "NA"), {}, "column 'length' holds 'NA' in row 2, else numbers"),
        (FLOWERS.replace("2.5", "1e300"), {}, "holds 1e[+]300 in row 2, too large"),
        (FLOWERS.replace("2.5", "inf"), {}, "holds inf in row 2, too large"),
        (FLOWERS, {"task": "regression"}, "target 'kind' holds 'tulip' in row 1; it must hold num"),
        (FLOWERS, {"target": "length"}, 'holds fractions; .* task = "regression"'),
        (many("word {}"), {}, "text with 2000 different values, for example 'word 0'; allowed are"),
        (many("{}"), {"target": "a"}, "has 2000 different values; allowed are 1000 classes"),
        ("a,b\n1,gr\xfcn\n".encode("latin-1"), {}, "cannot be read .*utf-8"),
        ("\xfc,b\n1,2\n".encode("latin-1"), {}, r"is not UTF-8 text \(byte 0\)"),
        ('a,b\n1,"open\n2,3\n', {}, "EOF inside string"),
        (gzip.compress(FLOWERS.encode())[:-10], {}, "cannot be read"),
    ],
    ids=[
        "empty", "no rows", "one column", "no name", "twice", "unknown target", "empty cell", "nan",
        "nan target", "short row",
        "one long row", "long rows", "text", "NA", "too large", "infinite", "text target", "fractions",
        "many texts", "many classes", "latin-1", "latin-1 header", "open quote", "truncated",
    ],
)  # fmt: skip
def test_table_that_cannot_be_used_is_refused_naming_column_and_row(
    tmp_path: Path, content: str | bytes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content, **changes)
    assert str(caught.value).startswith(f"{tmp_path / 'table.csv'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_read_if_the_separator_is_not_a_comma(
    tmp_path: Path, separator: str
) -> None:
    content = "size,price,kind\n1.5,-2,a\n2,3e2,b\n".replace(",", separator).replace(".", ",")
    table = read(tmp_path, content)
    assert feature_names(table) == ("size", "price")
    assert table.features.tolist() == [[1.5, -2], [2, 300]]


def test_decimal_commas_can_be_the_target(tmp_path: Path) -> None:
    assert read(tmp_path, "a;b\n1;0,5\n2;1,25\n", task="regression").labels.tolist() == [0.5, 1.25]


def test_a_column_may_have_the_name_of_another_columns_feature(tmp_path: Path) -> None:
    table = read(tmp_path, "a,a=x,kind\nx,7,u\nz,8,v\n")
    assert table.features.tolist() == [[1, 0, 7], [0, 1, 8]]
    assert [(one.column, one.value) for one in table.columns] == [
        ("a", "x"),
        ("a", "z"),
        ("a=x", None),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,b\n"1,5",0\n"2,5",1\n', "'a' holds '1,5' in row 1, which looks like a number"),
        ("a;b\n1.234,5;0\n2.345,5;1\n", "'a' holds '1.234,5' in row 1, which looks like a number"),
        ('a,b\n"1,234.5",0\n"2,345.5",1\n', "holds '1,234.5' in row 1, which looks like a number"),
        ("a;c;b\n1,5;2.5;0\n2,5;3.5;1\n", "'c' holds '2.5' in row 1, which cannot be kept as a nu"),
        ("a,b\n45%,0\n50 %,1\n", "'a' holds '45%' in row 1, which looks like a number"),
        ("a,b\n$1.50,0\n$ 2,1\n", r"'a' holds '\$1.50' in row 1, which looks like a number"),
        (
            "a,b\n2 \u20ac,0\n3 \u20ac,1\n",
            "'a' holds '2 \u20ac' in row 1, which looks like a number",
        ),
        ("a,b\n1\u202f234,0\n2\u202f345,1\n", "'a' holds '1.u202f234' in row 1, which looks"),
        ("a,b\n1\u00a0234,0\n2\u00a0345,1\n", "'a' holds '1.xa0234' in row 1, which looks"),
    ],
)
def test_numbers_that_cannot_be_read_are_not_taken_for_categories(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_addresses_and_dates_are_categories(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b,c\n192.168.100.200,2026-01-02,0\n10.0.0.1,2026-01-03,1\n")
    assert len(table.columns) == 4


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("line", ["5.1,3.5,setosa", "39,cook,yes", "1,7,a", "-1,x,y"])
def test_a_row_is_not_taken_for_the_header(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="seems to be a row and no header; add a first line"):
        read(tmp_path, f"{line}\n" * 3)


@pytest.mark.parametrize(
    "names", ["0,1,2,y", "1,2,3,4", "400.5,401.0,401.5,y", "2019,2020,y", "1,y", "3d,2nd,y"]
)
def test_columns_may_be_called_by_numbers_that_count(tmp_path: Path, names: str) -> None:
    row = ",".join("5" for _ in names.split(","))
    other = ",".join("6" for _ in names.split(","))
    table = read(tmp_path, f"{names}\n{row}\n{other}\n")
    assert feature_names(table) == tuple(names.split(",")[:-1])


def test_a_separator_inside_quotes_does_not_count(tmp_path: Path) -> None:
    table = read(tmp_path, '"x; in m; net; y",z,y\n1,2,a\n3,4,b\n')
    assert feature_names(table) == ("x; in m; net; y", "z")


# ---------------------------------------------------------------- missing values, lost digits


@pytest.mark.parametrize("word", ["NA", "n/a", "NULL", "?", "None", "#N/A"])
def test_a_missing_value_among_numbers_is_no_class(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match=r"seems to be a missing value among numbers \(1 cells"):
        read(tmp_path, f"x,y\n1,0\n2,1\n3,{word}\n")


def test_words_that_often_mean_missing_are_said_where_they_count(tmp_path: Path) -> None:
    table = read(tmp_path, "region,y\nNA,None\nEU,Mild\nEU,Severe\n")
    assert table.class_names == ("Mild", "None", "Severe")
    assert table.notes == (
        "'NA' in column 'region' is taken as a value like any other",
        "each value of a text column is a feature of its own: region (2)",
        "'None' in the target 'y' is taken as a class like any other",
    )
    plain = "each value of a text column is a feature of its own: colour (2)"
    assert read(tmp_path, FLOWERS).notes == (plain,)


def test_seconds_since_1970_keep_their_digits(tmp_path: Path) -> None:
    seconds = range(1_700_000_000, 1_700_000_100)
    rows = "".join(f"{second},{1.5},{second % 2}\n" for second in seconds)
    table = read(tmp_path, f"t,x,y\n{rows}")
    assert table.features.dtype == np.float32
    assert table.features[:, 0].tolist() == [float(second - 1_700_000_050) for second in seconds]
    assert [feature.offset for feature in table.columns] == [1_700_000_050.0, 0.0]
    assert table.notes == (
        "1700000050 is subtracted from column 't', of which float32 would keep too few digits",
        "column 't' counts the rows and is used as a feature",
        "columns with one value only tell nothing: x",
    )


def test_targets_of_a_large_mean_keep_their_digits(tmp_path: Path) -> None:
    rows = "".join(f"{n},{1.7e9 + n / 8}\n" for n in range(100))
    table = read(tmp_path, f"x,y\n{rows}", task="regression")
    assert table.labels.tolist() == [1.7e9 + n / 8 for n in range(100)]


# ---------------------------------------------------------------- what people really have


def rows(header: str, *cells: str, count: int = 40) -> str:
    """A table whose rows hold the cells, `{n}` being the number of the row and `{n2}` its parity."""
    lines = (
        ",".join(cell.format(n=n, n2=n % 2, n7=n * 7 % 41, ab="ab"[n % 2]) for cell in cells)
        for n in range(count)
    )
    return "\n".join([header, *lines]) + "\n"


ODD = "{n7}.5"
"""Another number in each row, in no order."""


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "id", "ID", "index", "row_id", "sample id"])
def test_column_that_only_numbers_the_rows_is_left_out(tmp_path: Path, name: str) -> None:
    table = read(tmp_path, rows(f"{name},x,y", "{n}", ODD, "{ab}"))
    assert feature_names(table) == ("x",)
    shown = repr(name) if name else "the first one, without a name"
    assert table.notes == (f"columns that only number the rows are left out: {shown}",)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (rows("day,x,y", "{n}", ODD, "{ab}"), "column 'day' counts the rows and is used as a feat"),
        (rows("id,x,y", "{n7}", ODD, "{ab}"), "column 'id' has another value in each row"),
        (rows("c,x,y", "3", ODD, "{ab}"), "columns with one value only tell nothing: c"),
        (rows("c,x,y", "k", ODD, "{ab}"), "columns with one value only tell nothing: c"),
        (rows("c,x,y", "p{n2}", ODD, "{ab}"), "a text column is a feature of its own: c (2)"),
        (rows("c,x,y", "{n2}", "5{n2}", "{ab}"), "38 of 40 rows repeat another row"),
        (rows("zip,x,y", "0{n7}", ODD, "{ab}"), "codes such as those in column 'zip' are taken as"),
        (rows("t,x,y", "2024012{n2}", ODD, "{ab}"), "dates such as 20240120 in column 't' are tak"),
        (rows("c,x,y", "{n}", ODD, "{ab}").replace("\n7,", "\n-999,").replace("\n9,", "\n-999,"),
         "-999 in column 'c' is taken as a number, not as a missing value"),
        (rows("x,y", ODD, "{ab}").replace(",a", ",B", 1), "'B' and 'b' in the target 'y' are two cl"),
        (rows("c,x,y", "yes", ODD, "{ab}").replace("yes", "Yes", 3), "'Yes' and 'yes' in column 'c'"),
        (rows("c,x,y", "yes", ODD, "{ab}").replace("yes", "n.a.", 3), "'n.a.' in column 'c' is taken"),
    ],
)  # fmt: skip
def test_what_is_guessed_about_a_column_is_said(tmp_path: Path, content: str, note: str) -> None:
    table = read(tmp_path, content)
    assert [one for one in table.notes if note in one], table.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rows("x,c,y", ODD, "{ab}", "{ab}"), "column 'c' is a copy of the target 'y'; drop it"),
        (rows("a,b,y", "1", "k", "{ab}"), "every column has one value only, so there is nothing"),
        (rows("x,y", ODD, "{n}"), r'40 different values \(numbers\).* task = "regression"'),
        (rows("x,y", ODD, "t{n}"), r"40 different values \(text\) in 40 rows, so they are no cl"),
        (rows("t,y", "2024-01-{n}", "{ab}"), "write dates as numbers, such as days"),
        (rows("t,y", "{n}.3.2024", "{ab}"), "write dates as numbers, such as days"),
        (rows("c,y", "({n})", "{ab}"), r"holds '\(0\)' in row 1, which looks like a number"),
        ("p,x,q\np,y,q\ne,x,s\ne,y,q\n", "holds 'p', as rows below it do, so it seems to be a row"),
        (rows("x,y", ODD, "{ab}").encode("utf-16-le"), "holds zero bytes, as binary files and UTF"),
    ],
)
def test_what_would_make_numbers_wrong_is_refused(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cr"])
def test_encodings_and_line_ends_that_say_what_they_are_are_read(
    tmp_path: Path, encoding: str
) -> None:
    content = FLOWERS.replace("red", "r\u00f6d")
    bare = content.replace("\n", "\r").encode() if encoding == "cr" else content.encode(encoding)
    table = read(tmp_path, bare)
    assert feature_names(table) == ("length", "colour=blue", "colour=r\u00f6d", "width")
    assert table.labels.tolist() == [1, 0, 1]


def test_spaces_around_texts_make_no_other_class_or_feature(tmp_path: Path) -> None:
    table = read(tmp_path, "colour,kind\nred,tulip\n blue, rose\nred , tulip \n")
    assert feature_names(table) == ("colour=blue", "colour=red")
    assert (table.class_names, table.labels.tolist()) == (("rose", "tulip"), [1, 0, 1])
