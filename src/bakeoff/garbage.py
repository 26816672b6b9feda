"""Python's garbage collection, where it costs a program more than it frees."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Disable Python's garbage collection, which walks all objects again while many are made.

    It takes half of the time of a large read, and a sixth of that of importing torch.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_until_exit() -> None:
    """Take the objects that exist now out of all later collections.

    The interpreter collects what it can when it ends, which takes 0.4 s for the modules that a
    report needs, and frees only memory that the system takes back anyway.
    """
    gc.freeze()
