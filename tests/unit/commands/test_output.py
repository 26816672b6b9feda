import os
import re
import subprocess
import sys

import pytest

from bakeoff.commands.output import print_table, print_text


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0.123456, "0.1235"), (9876.54, "9877"), (52134.2, "52134"), (3.2e11, "3.2e+11")],
)
def test_numbers_of_moderate_size_are_shown_without_an_exponent(capsys, number, shown):
    print_table(["rmse"], [[number]])
    assert capsys.readouterr().out.split() == ["rmse", shown]


def test_a_table_without_headings_begins_with_its_first_row(capsys):
    print_table(["", ""], [["torch", "2.14"]])
    assert capsys.readouterr().out.rstrip() == "torch  2.14"


LONG = "No difference was shown between the arms " * 4


def on_a_terminal(monkeypatch, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


def test_a_sentence_is_wrapped_on_a_terminal_and_on_one_line_in_a_pipe(capsys, monkeypatch):
    print_text(LONG)
    assert capsys.readouterr().out == f"{LONG}\n"
    on_a_terminal(monkeypatch, 50)
    print_text(LONG, indent="  ")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 50
    assert " ".join(line.strip() for line in lines) == LONG.strip()
    assert all(line.startswith("  ") for line in lines[1:])


@pytest.mark.parametrize("columns", [20, 60])
def test_a_table_breaks_between_words_and_loses_nothing_on_a_narrow_terminal(
    capsys, monkeypatch, columns
):
    on_a_terminal(monkeypatch, columns)
    print_table(["arm", "best accuracy", "settings"], [["adamw", 0.98765, "rate 0.1, cosine"]])
    shown = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).split()
    expected = {"arm", "best", "accuracy", "settings", "adamw", "0.9877", "rate", "0.1,", "cosine"}
    assert expected <= set(shown)


def test_lines_of_a_piped_table_have_no_trailing_spaces(capsys):
    print_table(["name", "what"], [["a", "longer than its heading"], ["b", "short"]], title="both")
    assert capsys.readouterr().out.splitlines() == [
        "both",
        "name  what",
        "a     longer than its heading",
        "b     short",
    ]


def test_a_closed_stdout_prints_no_table(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    print_table(["name"], [["a"]])


@pytest.mark.parametrize(
    ("words", "offered"), [("study verify", "verify-resume"), ("study train --opt", "--optimizer")]
)
def test_a_shell_completes_verbs_and_options(words, offered):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff"],
        env={**os.environ, "_STUDY_COMPLETE": "complete_bash", **asked},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [offered]
