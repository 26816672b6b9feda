"""Calls a function of the user's with every event of a study, in a process of its own.

    python -m bakeoff.tracking.callback_process REFERENCE FOLDER PARENT

It imports the function and says `ready` on stdout, or the reason why it cannot be called. Then it
reads one JSON object per line from stdin. What the function raises goes to stderr with its
traceback, and the next event follows; what it prints goes there too.
"""

import inspect
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any, cast

from bakeoff.child_process import ignore_interrupts
from bakeoff.components.own_calls import CALLBACK
from bakeoff.errors import UsageError, one_line
from bakeoff.own_source import look_in
from bakeoff.registry import describe_signature, resolve, users_code

READY = "ready"
EXAMPLE: dict[str, object] = {}


def load_callback(reference: str) -> Callable[[dict[str, Any]], object]:
    """The function that a reference leads to.

    Raises:
        UsageError: It cannot be imported, or cannot be called with one event.
    """
    found = resolve(reference)
    try:
        if not callable(found):
            raise TypeError(f"is {type(found).__name__}")
        inspect.signature(found).bind(EXAMPLE)
    except TypeError as error:
        shown = describe_signature(found) if callable(found) else str(error)
        raise UsageError(
            f"tracking.callback = {reference!r}: expected a call with {CALLBACK.called_with},"
            f" found {shown}"
        ) from None
    except ValueError:  # a function of C that does not tell its signature
        pass
    return cast("Callable[[dict[str, Any]], object]", found)


def main(reference: str, folder: str, parent: int) -> int:
    """Call the function with each event on stdin; return 1 if it raised anything, else 0."""
    ignore_interrupts(parent)
    look_in(folder)
    answer = sys.stdout
    try:
        callback = load_callback(reference)
    except UsageError as error:
        print(one_line(error), file=answer, flush=True)
        return 1
    print(READY, file=answer, flush=True)
    failed = 0
    for line in sys.stdin:
        try:
            with users_code():
                callback(json.loads(line))
        except Exception:  # noqa: BLE001 - the user's function may raise anything
            traceback.print_exc()
            sys.stderr.flush()
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
