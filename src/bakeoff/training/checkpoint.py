"""Checkpoints that survive a crash at any moment, and are never loaded when they are damaged.

A checkpoint is a payload and a manifest with its length and SHA-256, which is stored last; a
payload without a manifest is ignored. The hash is verified before torch unpickles anything, and
only with `weights_only=True`.

Every attempt of a run stores its checkpoints below a prefix of its own, so that a worker that was
given up cannot disturb the one that has the run now. An attempt continues from the newest sound
checkpoint of the attempts before it.
"""

import io
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bakeoff.errors import CheckpointError, CheckpointWriteError, StoreError
from bakeoff.stores import Store, open_store
from bakeoff.stores.run_weights import WEIGHTS, weights_stem
from bakeoff.stores.sealed import MANIFEST, get_manifest, get_payload, put_sealed
from bakeoff.training.loop_state import LoopState
from bakeoff.training.snapshot import snapshot
from bakeoff.training.state import TrainingState

logger = logging.getLogger(__name__)

CHECKPOINT_FORMAT = 2
"""Format 1 had no checkpoints within an epoch."""
NUM_KEPT = 2
"""The newest checkpoint, and the one before in case the newest is damaged."""

MAX_SAVE_SHARE = 0.01
"""By default, a save may cost this share of the training time since the last one."""
SECONDS_WITHIN_EPOCH = 300.0
"""Within an epoch, a step is saved when a crash would cost this much training time."""
FIRST_SAVE_SECONDS = 0.05
"""Assumed cost of a save before the first one is measured."""
PAYLOAD = ".pt"
FILE = re.compile(
    r"(?:attempt-(?P<attempt>\d+)/)?(?P<name>epoch-\d+(?:-sample-\d+)?)"
    r"(?P<suffix>\.json|\.pt|\.(?:json|pt)\.partial)"
)
"""The key of a file. Earlier releases stored the files of all attempts without a prefix."""


Saved = TrainingState | LoopState
"""What a checkpoint holds: a run of the built-in loop, or of a loop of the user's own."""


@dataclass(frozen=True, order=True)
class _File:
    """A file of a checkpoint. Files sort by attempt, then in the order of the checkpoints."""

    attempt: int
    """0 where an earlier release stored it."""
    name: str
    suffix: str

    @property
    def stem(self) -> str:
        """Its key without the suffix."""
        return f"attempt-{self.attempt}/{self.name}" if self.attempt else self.name


def checkpoint_bytes(state: TrainingState) -> int:
    """Size of a checkpoint of this run after an epoch was scored, without its history."""
    buffer = io.BytesIO()
    torch.save(snapshot(replace(state, best_weights=state.evaluated_weights())), buffer)
    return buffer.tell()


def unpickle(data: bytes) -> dict[str, Any]:
    """What `torch.save` wrote, with tensors on the CPU; only tensors and plain values are read."""
    return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))


class Checkpoints:
    """The checkpoints of one run.

    Args:
        place: Where they are stored: a folder, a location for `open_store`, or a store. The first
            save creates a folder.
        identity: What the checkpoints belong to (study, run, configuration, data). Checkpoints
            with another identity are removed with a warning: they are leftovers.
        attempt: Rises with every start of the run. Checkpoints of a later attempt are refused, and
            no checkpoint is written once there are some, because another worker has the run then.
        max_share: A save may cost this share of the training time since the last one.
    """

    def __init__(
        self,
        place: Path | str | Store,
        identity: str,
        *,
        attempt: int = 1,
        max_share: float = MAX_SAVE_SHARE,
    ) -> None:
        self._place = str(place) if isinstance(place, Path) else place
        self._identity = identity
        self._attempt = attempt
        self._max_share = max_share
        self._seconds_per_save = FIRST_SAVE_SECONDS
        self._overspent = 0.0
        """Seconds by which earlier saves exceeded what they may cost."""
        self._newest: str | None = None
        """Name of the newest checkpoint."""
        self.is_suspended = False
        """Whether the run was asked to stop after the step in progress."""

    def suspend(self) -> None:
        """Ask the run to save the step in progress and to stop. Any thread may call it."""
        self.is_suspended = True

    def is_due_within_epoch(self, state: Saved) -> bool:
        """Whether the step that the run has just made is saved."""
        if self.is_suspended:
            return True
        seconds = state.seconds_since_save + (state.totals.seconds if state.totals else 0.0)
        return seconds >= SECONDS_WITHIN_EPOCH and self.is_due(seconds)

    def is_due(self, train_seconds: float) -> bool:
        """Whether a save may cost what the last one did, after so much training time."""
        return self._seconds_per_save <= self._max_share * train_seconds - self._overspent

    def save(self, state: Saved) -> None:
        """Write the state after its last epoch or step, unless it is already saved.

        Raises:
            CheckpointError: A later attempt of this run has saved checkpoints.
            CheckpointWriteError: The store cannot be written (a full disk, no network); earlier
                checkpoints are intact.
        """
        name = _name_of(state)
        if name == self._newest:
            return
        started = time.perf_counter()
        before = self._files()
        self._check_attempt(before)
        buffer = io.BytesIO()
        torch.save(state.snapshot() if isinstance(state, LoopState) else snapshot(state), buffer)
        new = _File(self._attempt, name, MANIFEST)
        try:
            put_sealed(
                self._store, new.stem, PAYLOAD, buffer.getbuffer(), self._facts(epoch=state.epoch)
            )
            self._newest = name
            self._remove_old([*before, new])
        except OSError as error:
            raise self._write_error("a checkpoint cannot be written", error) from error
        self._seconds_per_save = time.perf_counter() - started
        trained = state.seconds_since_save + (state.totals.seconds if state.totals else 0.0)
        allowed = self._max_share * trained - self._overspent
        self._overspent = max(0.0, self._seconds_per_save - allowed)
        state.note_save()

    def keep_weights(self, data: bytes) -> None:
        """Store the weights of the run, which has ended, for the driver to take.

        Raises:
            CheckpointWriteError: The store cannot be written.
        """
        try:
            put_sealed(self._store, weights_stem(self._attempt), WEIGHTS, data, self._facts())
        except OSError as error:
            raise self._write_error("the weights cannot be written", error) from error

    def load(self) -> dict[str, Any] | None:
        """The payload of the newest valid checkpoint, or None.

        A damaged checkpoint is skipped with a warning.

        Raises:
            CheckpointError: A checkpoint was written by a later attempt or by a newer release.
            CheckpointWriteError: The store does not answer, or checkpoints of another run cannot be
                removed.
        """
        for file in self._manifests(self._files()):
            place = f"{self._store.location}/{file.stem}{MANIFEST}"
            try:
                manifest = get_manifest(self._store, file.stem)
                if not self._is_own(manifest, file, place):
                    continue
                data = get_payload(self._store, file.stem, PAYLOAD, manifest)
            except StoreError as error:  # which says nothing about the checkpoint
                raise self._write_error("the checkpoints cannot be read", error) from error
            except CheckpointWriteError:
                raise
            except (OSError, ValueError) as error:
                logger.warning("%s: skipped a damaged checkpoint (%s)", place, error)
                continue
            # One of an earlier attempt may be removed, so it does not count as saved.
            self._newest = file.name if file.attempt == self._attempt else None
            return unpickle(data)
        return None

    @cached_property
    def _store(self) -> Store:
        """Opened where it is first used, so that each use handles a service without an answer."""
        return open_store(self._place) if isinstance(self._place, str) else self._place

    def _facts(self, **others: object) -> dict[str, object]:
        return {
            "format": CHECKPOINT_FORMAT,
            "identity": self._identity,
            "attempt": self._attempt,
            **others,
        }

    def _files(self) -> list[_File]:
        """The files of the checkpoints of all attempts."""
        try:
            found = map(FILE.fullmatch, self._store.keys())
        except OSError as error:  # which says nothing about the run
            raise self._write_error("the checkpoints cannot be listed", error) from error
        return [_File(int(one["attempt"] or 0), one["name"], one["suffix"]) for one in found if one]

    def _write_error(self, what: str, error: OSError) -> CheckpointWriteError:
        if isinstance(error, StoreError):  # which names its location
            return CheckpointWriteError(f"{what}: {error}")
        return CheckpointWriteError(f"{self._store.location}: {what} ({error.strerror or error})")

    @staticmethod
    def _manifests(files: list[_File]) -> list[_File]:
        """The manifests among the files, newest first."""
        return sorted({one for one in files if one.suffix == MANIFEST}, reverse=True)

    def _is_own(self, manifest: Mapping[str, Any], file: _File, place: str) -> bool:
        """Whether a checkpoint belongs to this run; one of another run is removed."""
        if manifest["format"] > CHECKPOINT_FORMAT:
            raise CheckpointError(
                f"{place}: written by a newer release (format {manifest['format']}, "
                f"this one reads up to {CHECKPOINT_FORMAT})"
            )
        if manifest["identity"] != self._identity:
            logger.warning("%s: removed, it belongs to another run or another release", place)
            try:
                self._store.delete([file.stem + MANIFEST, file.stem + PAYLOAD])
            except OSError as error:
                raise self._write_error(
                    "a checkpoint of another run cannot be removed", error
                ) from error
            return False
        if manifest.get("attempt", 1) > self._attempt:
            raise CheckpointError(
                f"{place}: attempt {manifest['attempt']} of this run has written it, and this is"
                f" attempt {self._attempt}; another worker has taken over the run"
            )
        return True

    def _check_attempt(self, files: list[_File]) -> None:
        """Refuse to write once a later attempt has written a checkpoint."""
        later = [one for one in self._manifests(files) if one.attempt > self._attempt]
        for file in later[:1]:
            try:
                manifest = get_manifest(self._store, file.stem)
            except StoreError as error:
                raise self._write_error("the checkpoints cannot be read", error) from error
            except (OSError, ValueError):
                return
            if manifest["identity"] == self._identity:
                self._is_own(manifest, file, f"{self._store.location}/{file.stem}{MANIFEST}")

    def _remove_old(self, files: list[_File]) -> None:
        """Delete all but the newest checkpoints, manifests before the payloads they describe.

        Those of later attempts stay, whose worker decides about them.
        """
        mine = [one for one in files if one.attempt <= self._attempt]
        kept = {one.stem for one in self._manifests(mine)[:NUM_KEPT]}
        old = {one for one in mine if one.stem not in kept or one.suffix.endswith(".partial")}
        self._store.delete(
            one.stem + one.suffix for one in sorted(old, key=lambda one: (one.suffix, one))
        )


def _name_of(state: Saved) -> str:
    """A name by which checkpoints sort in the order in which they were made."""
    within = "" if state.totals is None else f"-sample-{state.totals.drawn:012d}"
    return f"epoch-{state.epoch:07d}{within}"
