"""The data of a run, prepared once for all runs of a worker that train on it.

A function of the user's may take long to make its arrays, and so does measuring their mean and
deviation.
"""

from collections.abc import Iterator
from zlib import crc32

import torch
from torch import Tensor

from bakeoff.errors import DataChangedError
from bakeoff.records import TrialConfig
from bakeoff.training.batches import Splits, load_splits
from bakeoff.training.placement import KEPT_SAMPLES, num_changes
from bakeoff.training.weights_source import InputScale

SAMPLE_ROWS = 1024
SAMPLE_BYTES = 16 << 20
"""At most so much of each tensor is compared before a loop of the user's own gets it again."""


class KeptSplits:
    """Keeps the data of the last run, if it was asked to; otherwise every run reads its own."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether this process trains one run after the other and nothing else. Elsewhere the data
        may be another one the next time, although its name is the same."""
        self._key: tuple[object, ...] = ()
        self._splits: Splits | None = None
        self._versions: tuple[int, ...] = ()
        self._sample = 0

    def load(
        self,
        config: TrialConfig,
        device: torch.device,
        *,
        channels_last: bool = False,
        scale: InputScale | None = None,
    ) -> Splits:
        """Samples, split and normalisation of a run: those of the run before if they are the same.

        They are read again if a loop of the user's own has changed a tensor of them. torch does not
        count changes through `.data` or `.numpy()`, so a sample of rows is compared too. A change
        of a few single rows by such means may be missed.

        Args:
            config: The run.
            device: Where it trains.
            channels_last: See `load_splits`.
            scale: See there.

        Raises:
            DataError: As `load_splits`.
            DataChangedError: The data is not that of `config.data_fingerprint`.
            UsageError: As there.
        """
        splits = self._load(config, device, channels_last=channels_last, scale=scale)
        expected, found = config.data_fingerprint, splits.fingerprint
        if expected not in ("", found):
            raise DataChangedError(
                f"{config.data.dataset}: the data changed since the study began (fingerprint"
                f" {expected[:12]}, now {found[:12]}); restore it, or give the study a new name"
            )
        return splits

    def _load(
        self,
        config: TrialConfig,
        device: torch.device,
        *,
        channels_last: bool,
        scale: InputScale | None,
    ) -> Splits:
        key = (
            config.data, config.split_seed, config.test_seed, str(device), channels_last, scale
        )  # fmt: skip
        found = self._splits
        if found is not None and (key, _versions(found)) == (self._key, self._versions):
            if config.training.loop is None or _sample_of(found) == self._sample:
                return found
            KEPT_SAMPLES.clear()
        self._splits = None  # before the next one needs memory
        splits = load_splits(
            config.data,
            config.split_seed,
            device,
            channels_last=channels_last,
            test_seed=config.test_seed,
            scale=scale,
        )
        if self.is_on:
            self._splits, self._key, self._versions = splits, key, _versions(splits)
            self._sample = 0 if config.training.loop is None else _sample_of(splits)
        return splits


def _tensors_of(splits: Splits) -> Iterator[Tensor]:
    """The tensors of the data that are in memory as a whole."""
    for part in (splits.train, splits.validation, splits.test):
        for one in (part.inputs, part.labels, part.rows):
            if isinstance(one, Tensor):
                yield one


def _versions(splits: Splits) -> tuple[int, ...]:
    """How often each tensor of the data was changed in place."""
    return tuple(num_changes(one) for one in _tensors_of(splits))


def _sample_of(splits: Splits) -> int:
    """A checksum of rows that are spread evenly over each tensor of the data."""
    found = 0
    for tensor in {id(one): one for one in _tensors_of(splits) if len(one)}.values():
        size = len(tensor)
        count = max(1, min(size, SAMPLE_ROWS, SAMPLE_BYTES * size // max(1, tensor.nbytes)))
        rows = torch.arange(count, device=tensor.device) * size // count
        chosen = tensor.index_select(0, rows).cpu().contiguous()
        found = crc32(chosen.view(torch.uint8).numpy().tobytes(), found)
    return found


KEPT_SPLITS = KeptSplits()
"""The data that this process keeps."""
