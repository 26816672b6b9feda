"""The user's own data: files by a prefix, `npz:PATH`, and functions, `package.module:function`."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.data.array_cache import fingerprint, load_cached, load_labels
from bakeoff.data.arrays import (
    TEST_FRACTION,
    TEST_SEED,
    Arrays,
    check_arrays,
    check_classes,
    check_labels,
    hold_out_part,
)
from bakeoff.data.csv_file import load_csv
from bakeoff.data.dataset_table import SEQUENCE_LENGTH, Dataset, name_arrays
from bakeoff.data.inputs import InputKind
from bakeoff.data.readers import check_file, read_npz
from bakeoff.data.reading_progress import showing_progress
from bakeoff.data.sample_source import (
    Part,
    SampleInputs,
    Samples,
    SampleSource,
    as_parts,
    fingerprint_samples,
    is_samples,
    read_labels,
)
from bakeoff.data.text_file import load_text
from bakeoff.errors import DataError, UsageError, describe_error
from bakeoff.records import DataConfig, Task
from bakeoff.registry import Registry, resolve


@dataclass(frozen=True, kw_only=True)
class DataForm:
    """One kind of files."""

    name: str
    """Before the colon, as in `npz:PATH`."""
    description: str
    tasks: tuple[Task, ...]
    """That it can be used for, the one that is meant unless another is named first."""
    load: Callable[[Path, DataConfig], tuple[Arrays, str]]
    """Path -> arrays and their fingerprint."""
    inputs: InputKind | None = None
    """What its samples look like; None where only reading it tells."""
    keys: tuple[str, ...] = ()
    """Keys of `[data]` that only some data sets have."""
    suffixes: tuple[str, ...] = ()
    """Of the names of its files."""


def find_form(dataset: str) -> DataForm | None:
    """The form of a data set like `npz:PATH`; None where it is none."""
    name, colon, path = dataset.partition(":")
    return FORMS[name] if colon and path and name in FORMS else None


def guess_form(dataset: str) -> str | None:
    """`csv:houses.csv` for `houses.csv` or `cvs:houses.csv`; None where no form is likely."""
    path = dataset.rpartition(":")[2]
    plain = path.lower().removesuffix(".gz")
    for form in FORMS:
        if plain.endswith(form.suffixes or ("/",)):
            return f"{form.name}:{path}"
    return None


def load_form(form: DataForm, config: DataConfig) -> Dataset:
    """The data set in the user's file or folder.

    Raises:
        DataError: It is missing or unusable.
    """
    path = Path(config.dataset.partition(":")[2]).expanduser()
    arrays, digest = form.load(path, config)
    return name_arrays(
        arrays, name=config.dataset, task=config.task, digest=digest, source=str(path)
    )


def _load_npz(path: Path, config: DataConfig) -> tuple[Arrays, str]:
    check_file(path)
    entry = "npz" if config.task == "classification" else f"npz-{config.task}"
    return load_cached(entry, (path,), lambda: check_arrays(read_npz(path), str(path), config.task))


def _load_folder(path: Path, config: DataConfig) -> tuple[Arrays, str]:
    from bakeoff.data.image_decoding import load_image_folder

    return load_image_folder(path, config.image_size)


def _load_csv(path: Path, config: DataConfig) -> tuple[Arrays, str]:
    return load_csv(path, config.target, config.task)


def _load_text(path: Path, config: DataConfig) -> tuple[Arrays, str]:
    return load_text(path, config.sequence_length or SEQUENCE_LENGTH)


# ---------------------------------------------------------------- functions


def load_function(config: DataConfig) -> Dataset:
    """The data set that the user's function returns: arrays by name, or torch data sets.

    Raises:
        DataError: The function raised, or returned something else.
        UsageError: It cannot be imported.
    """
    name, build = config.dataset, resolve(config.dataset)
    if not callable(build):
        raise UsageError(f"dataset {name!r} is not a function")
    try:
        with redirect_stdout(sys.stderr):
            raw = build()
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        raise DataError(f"{name}: {describe_error(error)}") from error
    if _is_pair_of_arrays(raw):
        raw = {"x": raw[0], "y": raw[1]}
    if is_samples(raw):
        return _load_samples(as_parts(raw, name), config)
    if not isinstance(raw, Mapping):
        raise DataError(
            f"{name} returned {type(raw).__name__}; allowed are a mapping of arrays, or a torch "
            "Dataset, a pair of them, or a mapping with the keys train and test"
        )
    named = {str(key): np.asarray(value) for key, value in raw.items()}
    arrays = check_arrays(named, name, config.task)
    return name_arrays(arrays, name=name, task=config.task, digest=fingerprint(arrays), source=name)


def _is_pair_of_arrays(raw: Any) -> bool:
    """Whether these are inputs and labels, as scikit-learn returns them with `return_X_y`.

    Tensors and the frames of pandas are arrays too.
    """
    is_pair = isinstance(raw, (tuple, list)) and len(raw) == 2  # noqa: PLR2004 - a pair
    return is_pair and all(hasattr(part, "__array__") for part in raw)


def _load_samples(parts: Mapping[Part, Samples], config: DataConfig) -> Dataset:
    """A data set whose samples stay where they are; its labels are read once."""
    name = config.dataset
    if config.task == "language":
        raise DataError(f'{name}: task = "language" takes arrays, not torch data sets')
    source = SampleSource(reference=name, parts=parts)
    digest = fingerprint_samples(source)
    labels = {part: _read_labels(source, part, digest, config.task) for part in parts}
    if config.task == "classification":
        check_classes(labels["train"], f"{name}: train")
    kept, held = _hold_out_test(source, labels, config.task)
    test: Part = "test" if "test" in parts else "train"
    return Dataset(
        name=name,
        task=config.task,
        train_inputs=_sample_inputs(source, "train", kept, labels["train"][kept]),
        train_labels=labels["train"][kept],
        test_inputs=_sample_inputs(source, test, held, labels[test][held]),
        test_labels=labels[test][held],
        class_names=_class_names(parts["train"], labels["train"], config.task),
        source=name,
        licence="your own",
        fingerprint=_with_labels(digest, labels),
    )


def _read_labels(source: SampleSource, part: Part, digest: str, task: Task) -> NDArray[Any]:
    where = f"{source.reference}: {part}"

    def read() -> NDArray[Any]:
        with showing_progress(f"reading labels of {where}") as advance:
            return read_labels(source.parts[part], where, advance)

    labels = load_labels(f"{digest}-{part}", read)
    return check_labels(labels, f"{where} labels", task)


def _hold_out_test(
    source: SampleSource, labels: Mapping[Part, NDArray[Any]], task: Task
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples of `train` to train on, and those of `test`, or of `train`, to test on."""
    train = labels["train"]
    if "test" in labels:
        if task == "classification" and labels["test"].max() > train.max():
            raise DataError(
                f"{source.reference}: test has the label {labels['test'].max()}, "
                f"train only 0..{train.max()}"
            )
        return np.arange(len(train)), np.arange(len(labels["test"]))
    try:
        return hold_out_part(train, task, TEST_FRACTION, TEST_SEED)
    except ValueError as error:
        raise DataError(f"{source.reference}: no test set, and {error} as one") from None


def _sample_inputs(
    source: SampleSource, part: Part, rows: NDArray[np.int64], labels: NDArray[Any]
) -> SampleInputs:
    first = source.fetch(part, [int(rows[0])], seed=0)[0]
    return SampleInputs(
        source=source,
        part=part,
        rows=rows,
        labels=labels,
        sample_shape=first.shape[1:],
        dtype=first.dtype,
    )


def _class_names(samples: Samples, labels: NDArray[Any], task: Task) -> tuple[str, ...]:
    """Names from the attribute `classes`, as data sets of torchvision have it, or numbers."""
    if task == "regression":
        return ()
    num_classes = int(labels.max()) + 1
    named = getattr(samples, "classes", None)
    if isinstance(named, (list, tuple)) and len(named) == num_classes:
        return tuple(map(str, named))
    return tuple(str(label) for label in range(num_classes))


def _with_labels(digest: str, labels: Mapping[Part, NDArray[Any]]) -> str:
    whole = hashlib.sha256(digest.encode())
    for part in sorted(labels):
        whole.update(labels[part].tobytes())
    return whole.hexdigest()[: len(digest)]


FORMS: Registry[DataForm] = Registry(
    "form of data",
    (
        DataForm(
            name="npz",
            description="arrays x, y or x_train, y_train, x_test, y_test in an .npz file: features"
            " [N, F], rows in order [N, T, F], grey images as bytes [N, H, W], images [N, C, H, W],"
            " or tokens and next tokens [N, L]",
            tasks=("classification", "regression", "language"),
            load=_load_npz,
            suffixes=(".npz",),
        ),
        DataForm(
            name="folder",
            description="images in train/<class>/ and test/<class>/, or <class>/ alone; "
            "image_size = 32 brings all to one size",
            tasks=("classification",),
            load=_load_folder,
            inputs="image",
            keys=("image_size",),
        ),
        DataForm(
            name="csv",
            description="a table with a header, .gz too; target = its column to predict, else "
            "the last; text of few values is one-hot",
            tasks=("classification", "regression"),
            load=_load_csv,
            inputs="features",
            keys=("target",),
            suffixes=(".csv", ".tsv"),
        ),
        DataForm(
            name="text",
            description="UTF-8 text, .gz too, for a character model; sequence_length = 64",
            tasks=("language",),
            load=_load_text,
            inputs="tokens",
            keys=("sequence_length",),
            suffixes=(".txt",),
        ),
    ),
)
