"""Checkpoints that survive a crash at any moment, and are never loaded when they are damaged.

A checkpoint is a payload and a manifest with its length and SHA-256. Both are written to a
temporary file, synced and renamed, the manifest last; a payload without a manifest is ignored.
The hash is verified before torch unpickles anything, and only with `weights_only=True`.
"""

import hashlib
import io
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bakeoff.errors import CheckpointError, CheckpointWriteError
from bakeoff.files import write_durably
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


Saved = TrainingState | LoopState
"""What a checkpoint holds: a run of the built-in loop, or of a loop of the user's own."""


def checkpoint_bytes(state: TrainingState) -> int:
    """Size of a checkpoint of this run after an epoch was scored, without its history."""
    buffer = io.BytesIO()
    torch.save(snapshot(replace(state, best_weights=state.evaluated_weights())), buffer)
    return buffer.tell()


def unpickle(data: bytes) -> dict[str, Any]:
    """What `torch.save` wrote, with tensors on the CPU; only tensors and plain values are read."""
    return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))


class Checkpoints:
    """The checkpoints of one run, in its own folder.

    Args:
        directory: The folder, which the first save creates.
        identity: What the checkpoints belong to (study, run, configuration, data). Checkpoints
            with another identity are removed with a warning: they are leftovers.
        attempt: Rises with every start of the run. Checkpoints of a later attempt are refused, and
            no checkpoint is written once there are some, because another worker has the run then.
        max_share: A save may cost this share of the training time since the last one.
    """

    def __init__(
        self,
        directory: Path,
        identity: str,
        *,
        attempt: int = 1,
        max_share: float = MAX_SAVE_SHARE,
    ) -> None:
        self._directory = directory
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
            CheckpointWriteError: The folder cannot be written (a full disk); earlier checkpoints
                are intact.
        """
        name = _name_of(state)
        if name == self._newest:
            return
        started = time.perf_counter()
        self._check_attempt()
        buffer = io.BytesIO()
        torch.save(state.snapshot() if isinstance(state, LoopState) else snapshot(state), buffer)
        try:
            self._write(name, state, buffer.getbuffer())
            self._newest = name
            self._remove_old()
        except CheckpointWriteError:
            raise
        except OSError as error:
            raise CheckpointWriteError(
                f"{self._directory}: a checkpoint cannot be written ({error.strerror})"
            ) from error
        self._seconds_per_save = time.perf_counter() - started
        trained = state.seconds_since_save + (state.totals.seconds if state.totals else 0.0)
        allowed = self._max_share * trained - self._overspent
        self._overspent = max(0.0, self._seconds_per_save - allowed)
        state.note_save()

    def load(self) -> dict[str, Any] | None:
        """The payload of the newest valid checkpoint, or None.

        A damaged checkpoint is skipped with a warning.

        Raises:
            CheckpointError: A checkpoint was written by a later attempt or by a newer release.
            CheckpointWriteError: Checkpoints of another run cannot be removed.
        """
        for manifest_path in self._manifests():
            try:
                manifest = _read_manifest(manifest_path)
                if not self._is_own(manifest, manifest_path):
                    continue
                data = _read_payload(manifest_path.with_suffix(".pt"), manifest)
            except (OSError, ValueError) as error:
                logger.warning("%s: skipped a damaged checkpoint (%s)", manifest_path, error)
                continue
            self._newest = manifest_path.stem
            return unpickle(data)
        return None

    def _manifests(self) -> list[Path]:
        """The manifests, newest first."""
        try:
            found = list(self._directory.glob("epoch-*.json"))
        except OSError as error:  # which says nothing about the run
            raise CheckpointWriteError(
                f"{self._directory}: the checkpoints cannot be listed ({error.strerror})"
            ) from error
        return sorted(found, key=lambda path: path.stem, reverse=True)

    def _write(self, name: str, state: Saved, data: memoryview) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": CHECKPOINT_FORMAT,
            "identity": self._identity,
            "attempt": self._attempt,
            "epoch": state.epoch,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        path = self._directory / f"{name}.pt"
        # The manifest comes last: without it the payload does not count.
        write_durably(path, data)
        manifest["check"] = _hash_manifest(manifest)
        write_durably(path.with_suffix(".json"), json.dumps(manifest).encode())

    def _is_own(self, manifest: Mapping[str, Any], path: Path) -> bool:
        """Whether a checkpoint belongs to this run; one of another run is removed."""
        if manifest["format"] > CHECKPOINT_FORMAT:
            raise CheckpointError(
                f"{path}: written by a newer release (format {manifest['format']}, "
                f"this one reads up to {CHECKPOINT_FORMAT})"
            )
        if manifest["identity"] != self._identity:
            logger.warning("%s: removed, it belongs to another run", path)
            try:
                path.unlink()
                path.with_suffix(".pt").unlink(missing_ok=True)
            except OSError as error:
                raise CheckpointWriteError(
                    f"{path}: a checkpoint of another run cannot be removed ({error.strerror})"
                ) from error
            return False
        if manifest.get("attempt", 1) > self._attempt:
            raise CheckpointError(
                f"{path}: attempt {manifest['attempt']} of this run has written it, and this is"
                f" attempt {self._attempt}; another worker has taken over the run"
            )
        return True

    def _check_attempt(self) -> None:
        """Refuse to write beside the newest checkpoint if a later attempt has written it."""
        for path in self._manifests()[:1]:
            try:
                manifest = _read_manifest(path)
            except (OSError, ValueError):
                return
            if manifest["identity"] == self._identity:
                self._is_own(manifest, path)

    def _remove_old(self) -> None:
        """Delete all but the newest checkpoints, manifests before the payloads they describe."""
        kept = {path.stem for path in self._manifests()[:NUM_KEPT]}
        for suffix in (".json", ".pt", ".partial"):
            for path in self._directory.glob(f"epoch-*{suffix}"):
                if path.stem not in kept or suffix == ".partial":
                    path.unlink(missing_ok=True)


def _name_of(state: Saved) -> str:
    """A name by which checkpoints sort in the order in which they were made."""
    within = "" if state.totals is None else f"-sample-{state.totals.drawn:012d}"
    return f"epoch-{state.epoch:07d}{within}"


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or manifest.pop("check", None) != _hash_manifest(manifest):
        raise ValueError("the manifest does not match its own hash")
    return manifest


def _hash_manifest(manifest: Mapping[str, Any]) -> str:
    """The hash by which a damaged manifest is not taken for that of another run."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read_payload(path: Path, manifest: Mapping[str, Any]) -> bytes:
    data = path.read_bytes()
    if len(data) != manifest["bytes"]:
        raise ValueError(f"it has {len(data)} bytes instead of {manifest['bytes']}")
    if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise ValueError("its SHA-256 does not match")
    return data
