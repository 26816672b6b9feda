"""Whatever is printed is free of characters that steer a terminal; failures are one line."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from rich.table import Table
from rich.text import Text

from bakeoff import terminal
from bakeoff.commands import cli
from bakeoff.commands.output import print_json, print_table
from bakeoff.commands.verbs import metrics
from bakeoff.failure_log import MOST_LOGS, failures_folder, keep_text, redacted
from bakeoff.terminal import PlainStream, plain, plain_streams

HOSTILE = "a\x1b]0;title\x07b\u202ec\x9b2Jd\x7f\u2066\u200b\r\U000e0041"
STEERS = set("\x1b\x07\x9b\x7f\u202e\u2066\u200b\r\U000e0041")


def study(arguments, capfd):
    """The exit code of a command, and what it printed."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    return caught.value.code, *capfd.readouterr()


def test_text_keeps_its_lines_and_loses_what_cannot_be_seen():
    assert plain("one\ttwo\nthree é 漢 😀\n") == "one\ttwo\nthree é 漢 😀\n"
    assert plain("gr\udcc3\udcb6\udcc3\udc9fe \udcff") == "gr\\udcc3\\udcb6\\udcc3\\udc9fe \\udcff"
    assert plain("gr\udcc3\udcb6\udcc3\udc9fe") == "größe"
    assert plain("50 %\rdone\r\n") == "50 %\ndone\n"
    assert plain("\x1b[31m") == "\\x1b[31m"


def test_nothing_that_is_printed_steers_a_terminal(capfd):
    with plain_streams():
        print(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        sys.stderr.writelines([HOSTILE, "\n"])
        print_table([HOSTILE], [[HOSTILE], [1]], title=HOSTILE)
        console = terminal.console(stderr=True)
        table = Table(title=HOSTILE)
        table.add_column(HOSTILE)
        table.add_row(Text(HOSTILE))
        console.print(table, HOSTILE, f"[link=http://x/{HOSTILE}]x[/link]", soft_wrap=True)
    out, err = capfd.readouterr()
    assert "a\\x1b]0;title\\x07b\\u202ec" in out
    assert not STEERS & set(out + err)


def test_json_of_hostile_text_stays_the_same_json(capfd):
    with plain_streams():
        print_json({HOSTILE: HOSTILE})
    out, _ = capfd.readouterr()
    assert not STEERS & set(out)
    assert json.loads(out) == {HOSTILE: HOSTILE}


def test_colours_of_our_own_reach_a_terminal():
    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    before, sys.stderr = sys.stderr, PlainStream(screen)
    try:
        console = terminal.console(stderr=True)
        console.print(Text("plain\x1b[2J", style="bold red"))
    finally:
        sys.stderr = before
    assert "plain\\x1b[2J" in screen.getvalue()
    assert screen.getvalue().count("\x1b") == 2  # the colour begins and ends


COMMAND = "import sys; from bakeoff.commands.cli import main; main(sys.argv[1:])"


def run(shell, **environment):
    """Run a shell command in which `study` is the command line."""
    script = f'study() {{ "{sys.executable}" -c "{COMMAND}" "$@"; }}\n{shell}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shell", "code", "errors"),
    [
        ("study optimizers > /dev/full", 1,
         "study: stdout cannot be written (No space left on device); the output is lost\n"),
        ("study optimizers >&-", 1,
         "study: stdout cannot be written (Bad file descriptor); the output is lost\n"),
        ("study optimizers | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("study fly 2> /dev/full", 2, ""),
        ("study fly 2>&-", 2, ""),
    ],
    ids=["full", "closed", "reader left", "stderr full", "stderr closed"],
)  # fmt: skip
def test_a_stream_that_cannot_be_written_is_one_line_and_an_exit_code(shell, code, errors):
    found = run(shell)
    assert (found.returncode, found.stderr) == (code, errors)


def test_an_ascii_locale_gets_utf8():
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command, said in (
        ("study validate größe.toml", "study: größe.toml: no such file"),
        ("study list --output größe", "study: names that are not ASCII need another locale"),
    ):
        found = run(command, **ascii_locale)
        assert found.returncode == 2
        assert found.stderr.count("\n") == 1
        assert found.stderr.startswith(said)


def test_descriptors_that_the_parent_closed_are_not_given_to_files():
    code = "import sys, os; from bakeoff.terminal import keep_descriptors as keep\nkeep()\n"
    code += "sys.exit(open(os.devnull).fileno() < 3)"
    found = run(f'exec "{sys.executable}" -c "{code}" <&- >&- 2>&-')
    assert found.returncode == 0


# ---------------------------------------------------------------- errors that nobody foresaw


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "bakeoff" / "failures"


def test_an_unforeseen_error_is_one_line_that_names_a_private_file_without_secrets(
    state, capfd, monkeypatch
):
    def fail(*_: object, **__: object) -> None:
        raise LookupError("cannot use postgresql://me:canary@host/db\x1b")

    monkeypatch.setattr(metrics, "print_rows", fail)
    code, out, err = study(["metrics"], capfd)
    [log] = state.iterdir()
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("study: LookupError: cannot use postgresql://***@host/db\\x1b (")
    assert err.endswith(f"; the traceback is in {log}\n")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "Traceback (most recent call last)" in log.read_text()
    assert "canary" not in log.read_text() + err


def test_a_full_disk_is_said_in_the_words_of_the_machine(state, capfd, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/dev/shm/x")  # noqa: S108 - a name

    monkeypatch.setattr(metrics, "print_rows", fail)
    code, _, err = study(["metrics"], capfd)
    assert code == 1
    assert err.startswith("study: No space left on device: /dev/shm/x; the traceback is in ")


def test_a_log_that_cannot_be_written_is_left_out(tmp_path, capfd, monkeypatch):
    (tmp_path / "bakeoff").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(metrics, "print_rows", lambda *_, **__: 1 // 0)
    code, _, err = study(["metrics"], capfd)
    assert code == 1
    assert err.startswith("study: ZeroDivisionError: ")
    assert "traceback" not in err


def test_only_the_newest_logs_are_kept(state):
    kept = [keep_text(f"{number}") for number in range(MOST_LOGS + 3)]
    assert sorted(state.iterdir()) == kept[3:]
    assert failures_folder() == state


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:canary@host/db",
        "postgresql://me:can@ry/canary@host/db",
        "connect('host=x password=canary user=me')",
        "{'password': 'canary', 'user': 'me'}",
        "?sslpassword=canary&user=me",
        "BAKEOFF_TOKEN=canary",
        "me:canary@host",
        "WANDB_API_KEY: canary",
    ],
)
def test_credentials_are_redacted(text):
    assert "canary" not in redacted(f"x {text} y")
    assert redacted("study 'a:b' at 10:30 in data.csv:3") == "study 'a:b' at 10:30 in data.csv:3"


def test_a_command_that_is_terminated_cleans_up_and_says_so(state, capfd, monkeypatch):
    cleaned = []

    def wait(*_: object, **__: object) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        try:
            time.sleep(10)
        finally:
            cleaned.append(True)

    monkeypatch.setattr(metrics, "print_rows", wait)
    code, _, err = study(["metrics"], capfd)
    assert (code, err, cleaned) == (143, "study: ended by SIGTERM\n", [True])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
