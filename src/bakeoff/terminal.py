"""The streams of a process: all that is printed passes here, whoever prints it.

Text of other people reaches a terminal in many ways: names in a database, files of a data set,
messages of libraries, output of the user's own code. A control character in it could move the
cursor or change what the terminal does with later input, and a mark of the writing direction could
show a name as another one. So every character that cannot be seen is written as an escape.
"""

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO, cast

from bakeoff.errors import escaped

if TYPE_CHECKING:
    from rich.console import Console

CLOSED = OSError(errno.EBADF, os.strerror(errno.EBADF))


def plain(text: str) -> str:
    """`text` with everything that cannot be seen escaped, except ends of lines and tabs.

    A carriage return, which would let later text cover earlier text, becomes an end of line.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return escaped(text, kept="\n\t")


class PlainStream:
    """A text stream that escapes what cannot be seen, and that never raises.

    If the stream cannot be written, the rest is dropped and `failure` says why: the command
    continues to its end, because what it stores matters more than what it prints.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text, with escapes; return its length."""
        self.write_as_it_is(plain(text))
        return len(text)

    def write_as_it_is(self, text: str) -> None:
        """Write text whose control characters were made here, such as colours."""
        if self.stream is None:
            self.failure = self.failure or CLOSED
        elif self.failure is None:
            with self._noting_failure():
                self.stream.write(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines, which hold their own ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what was written."""
        if self.stream is not None and self.failure is None:
            with self._noting_failure():
                self.stream.flush()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            self._give_up()
        except ValueError:  # a closed file
            self.failure = CLOSED

    def _give_up(self) -> None:
        """Let what is still buffered go nowhere, because Python writes it when the process ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast("TextIO", self.stream).fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether a terminal shows the stream."""
        with suppress(ValueError):  # a closed file
            return self.stream is not None and self.stream.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        if self.stream is None:
            raise AttributeError(name)
        return getattr(self.stream, name)


class _ForRich:
    """The stream as rich writes to it: its texts were escaped, its colours and moves are wanted."""

    def __init__(self, stream: PlainStream) -> None:
        self._stream = stream
        self.write = stream.write_as_it_is

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_streams() -> Iterator[tuple[PlainStream, PlainStream]]:
    """Let everything that this process prints pass a `PlainStream`; yields stdout and stderr.

    An encoding of ASCII, which the locale C has, is taken as UTF-8.
    """
    keep_descriptors()
    before = sys.stdout, sys.stderr
    for stream in filter(None, before):
        if isinstance(stream, TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            encoding = "utf-8" if is_ascii else stream.encoding
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    stdout, stderr = PlainStream(before[0]), PlainStream(before[1])
    sys.stdout, sys.stderr = cast("TextIO", stdout), cast("TextIO", stderr)
    try:
        yield stdout, stderr
    finally:
        stdout.flush()
        stderr.flush()
        sys.stdout, sys.stderr = before


def keep_descriptors() -> None:
    """Open the descriptors of stdin, stdout and stderr that the parent process closed.

    The next file that this process opens would get such a descriptor, and a library that prints
    would write into it: a database, for example.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor: this one


def console(*, stderr: bool = False) -> "Console":
    """A console of rich for stdout or stderr that escapes what cannot be seen in all its texts."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                style = segment.style
                if style is not None and style.link:  # an address may hold anything
                    style = style.update_link(None)
                yield segment if segment.control else Segment(plain(segment.text), style)

    stream = sys.stderr if stderr else sys.stdout
    file = cast("TextIO", _ForRich(stream)) if isinstance(stream, PlainStream) else None
    return PlainConsole(file=file, stderr=stderr)


def has_display() -> bool:
    """Tell whether there is a display; without one, a text browser would fill the terminal."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
