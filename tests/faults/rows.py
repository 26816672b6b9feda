"""A row of the fault set: a fault, what is promised under it, and what was counted."""

import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class SkippedRowError(Exception):
    """This machine cannot inject the fault. The message says what it lacks."""


@dataclass
class Tally:
    """What was counted in one row."""

    injected: int = 0
    lost: int = 0
    """Trials, acknowledged writes or checkpoints that were lost, doubled or not ended."""
    silent: int = 0
    """Faults after which something differs and nothing says so."""
    traceback: int = 0
    """Faults that were answered with a traceback, or not at all."""
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    """Every failure, with the seed that replays it."""
    notes: list[str] = field(default_factory=list)

    def fail(self, kind: str, text: str) -> None:
        """Count a failure of a kind: lost, silent or traceback."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.failures.append(f"{kind}: {text}")

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.silent or self.traceback)


Inject = Callable[[random.Random, int, Path, Tally], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of fault."""

    name: str
    fault: str
    promise: str
    count: int
    """How many are injected in the full set; 0 where the row counts itself (every byte)."""
    quick: int
    """How many are injected by the test command."""
    inject: Inject


ROWS: dict[str, Row] = {}


def row(**facts: Any) -> Callable[[Inject], Inject]:
    """Register a function as the row that injects a fault."""

    def register(inject: Inject) -> Inject:
        ROWS[facts["name"]] = Row(inject=inject, **facts)
        return inject

    return register


def run_row(one: Row, count: int, seed: int, folder: Path) -> Tally:
    """Inject `count` faults of a row, drawn from `seed`.

    Raises:
        SkippedRowError: This machine cannot inject the fault.
    """
    tally, started = Tally(), time.perf_counter()
    try:
        one.inject(random.Random(seed), count, folder, tally)
    except SkippedRowError:
        raise
    except Exception:  # noqa: BLE001 - the row ends here and the next one begins
        tally.fail("traceback", f"seed {seed}: {traceback.format_exc()}")
    tally.seconds = time.perf_counter() - started
    return tally


def flip_bit(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The bytes with one bit flipped, and which one."""
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    flipped = bytearray(data)
    flipped[place] ^= 1 << bit
    return bytes(flipped), f"byte {place} bit {bit}"
