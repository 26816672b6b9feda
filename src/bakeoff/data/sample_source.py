"""Data sets of the user's own that give their samples one by one, as torch's `Dataset` does.

Only the labels are kept in memory. For each sample that is fetched, the global random generators
are seeded. So the random numbers of a transform depend on the seed and the sample alone: not on
the order, nor on the process that fetches, nor on where a run was resumed.

Samples that are the same every time and fit in memory train faster as arrays. For these, let the
function return `numpy.stack` of all inputs and of all labels instead.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import FINGERPRINT_DIGITS
from bakeoff.data.arrays import check_channels_first
from bakeoff.data.splits import Indices
from bakeoff.errors import DataError, UsageError, describe_error
from bakeoff.registry import resolve, users_code
from bakeoff.seeding import derive_seed

Part = Literal["train", "validation", "test"]
PART_NAMES: Mapping[str, Part] = {
    "train": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip
"""Keys of a mapping of data sets."""
NUM_FINGERPRINTED = 64
"""Number of samples of each part, evenly spaced, that the fingerprint depends on."""
FINGERPRINT_SEED = 0
LABEL_ATTRIBUTES = ("targets", "labels")
"""Attributes in which data sets of torchvision keep all labels."""


class Samples(Protocol):
    """A map-style data set of torch: an index gives a pair of input and label."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class SampleSource:
    """The samples of a function `package.module:name`, which every process calls itself."""

    reference: str
    parts: Mapping[Part, Samples] = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[[str], "SampleSource"], tuple[str]]:
        """Pickle only the reference, because data sets often cannot be pickled."""
        return open_source, (self.reference,)

    def fetch(
        self, part: Part, rows: Sequence[int], seed: int, repeats: Sequence[int] = ()
    ) -> tuple[NDArray[Any], list[Any]]:
        """Return inputs [n, ...] and labels of some samples; restore the random generators.

        Args:
            part: Part of the data set.
            rows: Indices of the samples.
            seed: Each sample's random numbers follow from it, the sample and its repeat.
            repeats: For each row, how often it already came in this epoch; never if empty.

        Raises:
            DataError: The data set raised, or a sample is not a pair of an array and a label; the
                message names it.
        """
        inputs, labels = [], []
        with _preserving_generators():
            for row, repeat in zip_longest(rows, repeats, fillvalue=0):
                where = f"{self.reference}: {part} sample {row}"
                again = (int(repeat),) if repeat else ()
                _seed_generators(derive_seed(seed, int(row), *again))
                sample, label = _get_pair(self.parts[part], int(row), where)
                inputs.append(_as_array(sample, where))
                labels.append(label)
        return _stack(inputs, rows, f"{self.reference}: {part}"), labels


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleInputs:
    """Inputs of one part that are fetched when needed, with the shape and type of an array."""

    source: SampleSource
    part: Part
    rows: Indices
    """Indices of these samples in the part, [N]."""
    labels: NDArray[Any]
    """Their known labels, [N], [N, K] or [N, H, W]."""
    sample_shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    @classmethod
    def of(
        cls, source: SampleSource, part: Part, rows: Indices, labels: NDArray[Any]
    ) -> "SampleInputs":
        """Make the inputs of some rows; the first one is fetched for its shape and type."""
        first = source.fetch(part, [int(rows[0])], FINGERPRINT_SEED)[0]
        return cls(
            source=source,
            part=part,
            rows=rows,
            labels=labels,
            sample_shape=first.shape[1:],
            dtype=first.dtype,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an array of all of them, [N, ...]."""
        return len(self), *self.sample_shape

    @property
    def ndim(self) -> int:
        """Number of dimensions of an array of all of them."""
        return len(self.shape)

    def __getitem__(self, index: Indices) -> NDArray[Any]:
        """Fetch some of the inputs, always with the same random numbers."""
        rows = [int(row) for row in self.rows[index]]
        return self.source.fetch(self.part, rows, FINGERPRINT_SEED)[0]


def call_function(reference: str) -> Any:
    """Call the user's function `package.module:name`; what it prints goes to stderr.

    Raises:
        DataError: The function raised.
        UsageError: It cannot be imported, or is not a function.
    """
    build = resolve(reference)
    if not callable(build):
        raise UsageError(f"dataset {reference!r} is not a function")
    try:
        with users_code():
            return build()
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        raise DataError(f"{reference}: {describe_error(error)}") from error


def open_source(reference: str) -> SampleSource:
    """Call the function `package.module:name` for its data sets.

    Raises:
        DataError: It raised, or did not return data sets.
        UsageError: It cannot be imported.
    """
    return SampleSource(reference=reference, parts=as_parts(call_function(reference), reference))


def as_parts(value: Any, reference: str) -> Mapping[Part, Samples]:
    """Return the data set to train on and, if there are any, those to validate and to test on.

    Args:
        value: One data set, a pair of them to train and to test on, or a mapping with the keys
            `train`, `val` and `test`.
        reference: The function that returned it, for messages.

    Raises:
        DataError: The value is something else, or a data set is empty or has no length.
    """
    if isinstance(value, (tuple, list)):
        if len(value) > 2:  # noqa: PLR2004 - said in the message
            raise DataError(
                f"{reference} returned {len(value)} data sets; allowed are one, a pair to train and"
                " to test on, or a mapping with the keys train, val and test"
            )
        value = dict(zip(("train", "test"), value, strict=False))
    named = value if isinstance(value, Mapping) else {"train": value}
    parts: dict[Part, Any] = {PART_NAMES[name]: samples for name, samples in named.items()}
    if len(parts) < len(named):
        raise DataError(f"{reference} returned several validation sets: {', '.join(named)}")
    if "train" not in parts:
        raise DataError(f"{reference} returned no data set to train on")
    for part, samples in parts.items():
        where = f"{reference}: {part}"
        try:
            num_samples = len(samples)
        except TypeError:
            raise DataError(
                f"{where}: {type(samples).__name__} has no length; a data set must give its samples"
                " by index, for a random order, splits and resuming (an iterable one cannot)"
            ) from None
        if num_samples == 0:
            raise DataError(f"{where}: has no samples")
    return parts


def read_labels(
    samples: Samples, where: str, advance: Callable[[int, int], None] | None = None
) -> NDArray[Any]:
    """Return all labels [N], or [N, K] if each sample has several.

    They are read from `targets`, `labels` or `tensors` if the data set has one of them. Otherwise
    every sample is fetched once, which may take as long as an epoch.

    Args:
        samples: The data set; a `Subset` of torch is looked into.
        where: The name of the data set, for messages.
        advance: Called with the progress if every sample is fetched.

    Raises:
        DataError: A sample cannot be fetched or has no label.
    """
    known = _known_labels(samples)
    if known is not None:
        if len(known) != len(samples):
            raise DataError(f"{where}: has {len(samples)} samples and {len(known)} labels")
        return known
    labels = []
    for row in range(len(samples)):
        labels.append(_get_pair(samples, row, f"{where} sample {row}")[1])
        if advance is not None:
            advance(row + 1, len(samples))
    return as_labels(labels, where)


def as_labels(labels: Sequence[Any], where: str) -> NDArray[Any]:
    """Return labels [n], rows of labels [n, K] or masks [n, H, W] as whole numbers, or as float32.

    Raises:
        DataError: One of them is not a number, or they differ in number.
    """
    expected = f"{where}: labels must be numbers, one for each sample"
    try:
        given = [np.asarray(label) for label in labels]
        first = given[0].shape
        several = len(first) in (1, 2) and given[0].size > 1
        other = next((one.shape for one in given if one.shape != first), first)
        if several and other != first:
            kind = "rows" if len(first) == 1 else "masks"
            raise DataError(f"{expected}, found {kind} of {list(first)} and {list(other)}")
        array = np.stack(given) if several else np.array([label.item() for label in given])
    except ValueError:  # a label is a list of unequal lists, or only some are several numbers
        raise DataError(expected) from None
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise DataError(f"{where}: labels must be numbers, not {labels[0]!r}")
    whole = array.astype(np.int64)
    return whole if (whole == array).all() and array.dtype.kind != "f" else array.astype(np.float32)


def _known_labels(samples: Any) -> NDArray[Any] | None:
    """Return all labels without fetching a sample; None if the data set does not tell."""
    if hasattr(samples, "dataset") and hasattr(samples, "indices"):  # torch.utils.data.Subset
        known = _known_labels(samples.dataset)
        return None if known is None else known[np.asarray(samples.indices)]
    if hasattr(samples, "tensors"):  # torch.utils.data.TensorDataset
        found = samples.tensors[-1]
    else:
        found = next((getattr(samples, name, None) for name in LABEL_ATTRIBUTES), None)
    if found is None:
        return None
    array = np.asarray(found)
    return array if array.ndim in (1, 2, 3) and array.dtype.kind in "iufb" else None


def fingerprint_samples(source: SampleSource) -> str:
    """Return 32 hexadecimal digits that depend on the number of samples and on 64 of each part.

    Raises:
        DataError: One of the samples cannot be used.
    """
    digest = hashlib.sha256(source.reference.encode())
    for part, samples in sorted(source.parts.items()):
        rows = np.unique(np.linspace(0, len(samples) - 1, NUM_FINGERPRINTED).astype(int))
        inputs, labels = source.fetch(part, rows.tolist(), FINGERPRINT_SEED)
        where = f"{source.reference}: {part}"
        for array in (np.array([len(samples)]), inputs, as_labels(labels, where)):
            digest.update(f"{array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def _get_pair(samples: Samples, row: int, where: str) -> tuple[Any, Any]:
    """Return the input and the label of one sample."""
    try:
        sample = samples[row]
    except MemoryError:
        raise
    except Exception as error:  # the user's data set may raise anything
        raise DataError(f"{where}: {describe_error(error)}") from error
    if isinstance(sample, (tuple, list)) and len(sample) == 2:  # noqa: PLR2004 - a pair
        return sample[0], sample[1]
    raise DataError(f"{where}: is {type(sample).__name__}, not a pair of input and label")


def _as_array(value: Any, where: str) -> NDArray[Any]:
    """Return an input as uint8 or float32; grey images [H, W] get their channel, as in arrays."""
    if not (isinstance(value, np.ndarray) or hasattr(value, "detach")):
        raise DataError(
            f"{where}: its input is {type(value).__name__}, not a tensor or an array; a picture "
            "becomes one by torchvision.transforms.v2.PILToTensor()"
        )
    array = np.asarray(value if isinstance(value, np.ndarray) else value.detach().cpu())
    if array.ndim not in (1, 2, 3) or array.size == 0:
        raise DataError(f"{where}: has shape {list(array.shape)}; allowed: [F], [T, F], [C, H, W]")
    if array.dtype in (np.uint8, np.bool_):
        array = array.astype(np.uint8, copy=False)
        check_channels_first(array.shape, array.dtype, where)
        return array[None] if array.ndim == 2 else array  # noqa: PLR2004 - [H, W]
    if array.dtype.kind not in "iuf":
        raise DataError(f"{where}: has dtype {array.dtype}; it must hold numbers")
    return array.astype(np.float32, copy=False)


def _stack(inputs: list[NDArray[Any]], rows: Sequence[int], where: str) -> NDArray[Any]:
    first = inputs[0]
    for row, array in zip(rows, inputs, strict=True):
        if (array.shape, array.dtype) != (first.shape, first.dtype):
            raise DataError(
                f"{where} sample {row}: is {array.dtype} {list(array.shape)}, sample {rows[0]} is "
                f"{first.dtype} {list(first.shape)}; the data set must bring all to one shape"
            )
    batch = np.stack(inputs)
    if batch.dtype == np.float32 and not np.isfinite(batch).all():
        bad = rows[int(np.argwhere(~np.isfinite(batch))[0][0])]
        raise DataError(f"{where} sample {bad}: has NaN or infinite values")
    return batch


def _seed_generators(seed: int) -> None:
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


@contextmanager
def _preserving_generators() -> Iterator[None]:
    """Restore the global random generators of the CPU at the end of the block."""
    import torch

    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
