"""The data of a run, prepared once for all runs of a worker that train on it.

A function of the user's may take long to make its arrays, and so does measuring their mean and
deviation.
"""

import torch
from torch import Tensor

from bakeoff.errors import DataChangedError
from bakeoff.records import TrialConfig
from bakeoff.training.batches import Splits, load_splits
from bakeoff.training.placement import num_changes
from bakeoff.training.weights_source import InputScale


class KeptSplits:
    """Keeps the data of the last run, if it was asked to; otherwise every run reads its own."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether this process trains one run after the other and nothing else. Elsewhere the data
        may be another one the next time, although its name is the same."""
        self._key: tuple[object, ...] = ()
        self._splits: Splits | None = None
        self._versions: tuple[int, ...] = ()

    def load(
        self,
        config: TrialConfig,
        device: torch.device,
        *,
        channels_last: bool = False,
        scale: InputScale | None = None,
    ) -> Splits:
        """Samples, split and normalisation of a run: those of the run before if they are the same.

        They are read again if a loop of the user's own has changed a tensor of them.

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
        if self._splits is not None and (key, _versions(self._splits)) == (
            self._key, self._versions
        ):  # fmt: skip
            return self._splits
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
        return splits


def _versions(splits: Splits) -> tuple[int, ...]:
    """How often each tensor of the data was changed in place."""
    parts = (splits.train, splits.validation, splits.test)
    tensors = [one for part in parts for one in (part.inputs, part.labels, part.rows)]
    return tuple(num_changes(one) for one in tensors if isinstance(one, Tensor))


KEPT_SPLITS = KeptSplits()
"""The data that this process keeps."""
