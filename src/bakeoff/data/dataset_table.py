"""The tables of data: registered data sets, and the forms that files of the user's own can have."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from bakeoff.data.array_cache import FINGERPRINT_DIGITS, data_folder, load_cached
from bakeoff.data.arrays import KEYS, Arrays, check_arrays
from bakeoff.data.csv_file import load_csv
from bakeoff.data.fetched import local_path
from bakeoff.data.inputs import InputKind
from bakeoff.data.readers import digits_file, read_digits, read_idx, read_npz
from bakeoff.data.text_file import load_text
from bakeoff.data.torchvision_sets import CIFAR10, CIFAR100, EMNIST, MNIST, SVHN, Download
from bakeoff.errors import DataError, UsageError, describe_unknown
from bakeoff.records import DataConfig, Task
from bakeoff.registry import Registry, is_reference

FASHION_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
DEBIAN_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Folder of the Debian package dataset-fashion-mnist."""
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN_JARGON_FILE = Path("/usr/share/doc/jargon-text/jargon.txt.gz")
"""File of the Debian package jargon-text."""
SEQUENCE_LENGTH = 64
"""Default number of tokens in a sample of text."""
YOUR_OWN = "your own"
"""Source and licence of data that is not registered."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A registered data set, a form of files such as `npz:PATH`, or the user's functions."""

    name: str
    """Name of the data set, or the prefix before the colon."""
    description: str
    tasks: tuple[Task, ...]
    """Tasks that the data can be used for; the first one is the default."""
    load: Callable[[DataConfig], tuple[Arrays, str]] | None = None
    """Returns the arrays and their fingerprint; None for functions, which may return samples."""
    inputs: InputKind | None = None
    """Kind of the samples; None if only reading them tells."""
    keys: tuple[str, ...] = ()
    """Keys of `[data]` that only some data sets have."""
    class_names: tuple[str, ...] = ()
    """Empty if only reading the data tells."""
    suffixes: tuple[str, ...] = ()
    """Endings of file names of this form."""
    source: str = YOUR_OWN
    licence: str = YOUR_OWN
    is_downloaded: bool = False
    """Whether torchvision downloads it where it is missing."""
    is_here: Callable[[], bool] = lambda: True
    """Whether its files are on this machine."""


def _load_digits(_: DataConfig) -> tuple[Arrays, str]:
    file = digits_file()
    return load_cached("digits", (file,), lambda: check_arrays(read_digits(file), "digits"))


def find_fashion_files() -> tuple[Path, ...] | None:
    """Find the files of Fashion-MNIST on this machine; None if they must be downloaded."""
    own, fetched = data_folder() / "fashion-mnist", data_folder() / "FashionMNIST" / "raw"
    for folder in (own, DEBIAN_FASHION_FOLDER, fetched):
        files = tuple(folder / name for name in FASHION_FILES)
        if all(file.is_file() for file in files):
            return files
    return None


def _fetch_fashion_files() -> tuple[Path, ...]:
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root=str(data_folder()), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"fashion-mnist: not found in {data_folder() / 'fashion-mnist'} or "
            f"{DEBIAN_FASHION_FOLDER}, and the download failed ({error}); "
            "get it with: apt-get install dataset-fashion-mnist"
        ) from None
    return tuple(data_folder() / "FashionMNIST" / "raw" / name for name in FASHION_FILES)


def _load_fashion(_: DataConfig) -> tuple[Arrays, str]:
    files = find_fashion_files() or _fetch_fashion_files()

    def decode() -> Arrays:
        arrays = map(read_idx, files)
        return check_arrays(dict(zip(KEYS, arrays, strict=True)), "fashion-mnist")

    return load_cached("fashion-mnist", files, decode)


def _load_fashion_rows(config: DataConfig) -> tuple[Arrays, str]:
    """Return the same arrays on disk, seen as sequences [28, 28]."""
    arrays, digest = _load_fashion(config)
    rows = replace(
        arrays, train_inputs=arrays.train_inputs[:, 0], test_inputs=arrays.test_inputs[:, 0]
    )
    return rows, sha256(f"rows of {digest}".encode()).hexdigest()[:FINGERPRINT_DIGITS]


def _load_jargon(config: DataConfig) -> tuple[Arrays, str]:
    own = data_folder() / DEBIAN_JARGON_FILE.name
    for file in (own, DEBIAN_JARGON_FILE):
        if file.is_file():
            return load_text(file, config.sequence_length or SEQUENCE_LENGTH)
    raise DataError(
        f"jargon: not found as {own} or {DEBIAN_JARGON_FILE}; "
        "get it with: apt-get install jargon-text"
    )


def own_path(config: DataConfig) -> Path:
    """Return the path of `npz:PATH`, of a copy if it is a URL.

    Raises:
        BakeoffError: As `local_path`.
    """
    return local_path(config.dataset)


def own_validation_path(config: DataConfig) -> Path | None:
    """Return the path of `validation = "csv:PATH"`; None if the study names none.

    Raises:
        BakeoffError: As `local_path`.
    """
    return None if config.validation is None else local_path(config.validation)


def _load_table(config: DataConfig) -> tuple[Arrays, str]:
    path, validation = own_path(config), own_validation_path(config)
    if config.text is not None:
        from bakeoff.data.text_table import load_text_table

        return load_text_table(config, path, validation)
    as_codes = config.categories == "codes"
    return load_csv(path, config.target, config.task, validation, as_codes=as_codes)


def _load_own_text(config: DataConfig) -> tuple[Arrays, str]:
    length = config.sequence_length or SEQUENCE_LENGTH
    return load_text(own_path(config), length, own_validation_path(config))


def _load_npz(config: DataConfig) -> tuple[Arrays, str]:
    path = own_path(config)
    entry = "npz" if config.task == "classification" else f"npz-{config.task}"
    return load_cached(entry, (path,), lambda: check_arrays(read_npz(path), str(path), config.task))


def _load_folder(config: DataConfig) -> tuple[Arrays, str]:
    if config.task == "segmentation":
        from bakeoff.data.mask_folder import load_mask_folder

        return load_mask_folder(own_path(config), config.image_size)
    from bakeoff.data.image_decoding import load_image_folder

    return load_image_folder(own_path(config), config.image_size)


FASHION = DataSource(
    name="fashion-mnist",
    description="70,000 pictures of clothes of 28x28 pixels, in ten classes",
    tasks=("classification",),
    load=_load_fashion,
    inputs="image",
    class_names=FASHION_CLASSES,
    source="https://github.com/zalandoresearch/fashion-mnist (Xiao et al. 2017)",
    licence="MIT",
    is_here=lambda: find_fashion_files() is not None,
)

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
EMNIST_CLASSES = (
    *"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    *"abdefghnqrt",
)  # fmt: skip
"""Lower-case letters that look like upper-case ones share their class."""


def _downloaded(
    download: Download, description: str, source: str, classes: tuple[str, ...] = ()
) -> DataSource:
    return DataSource(
        name=download.name,
        description=f"{description}; torchvision downloads it",
        tasks=("classification",),
        load=lambda _: download.load(),
        inputs="image",
        class_names=classes,
        source=source,
        licence="not stated",
        is_downloaded=True,
        is_here=download.is_here,
    )


DATASETS: Registry[DataSource] = Registry(
    "dataset",
    (
        DataSource(
            name="digits",
            description="1,797 handwritten digits of 8x8 pixels; ships with scikit-learn",
            tasks=("classification",),
            load=_load_digits,
            inputs="image",
            class_names=tuple("0123456789"),
            source="https://archive.ics.uci.edu/dataset/80 (Alpaydin and Kaynak 1998)",
            licence="CC BY 4.0",
        ),
        FASHION,
        replace(
            FASHION,
            name="fashion-rows",
            description="The same pictures as sequences of 28 rows, for recurrent networks",
            load=_load_fashion_rows,
            inputs="rows",
        ),
        DataSource(
            name="jargon",
            description="The Jargon File 4.4.7: 1.6 million characters on hackers' slang",
            tasks=("language",),
            load=_load_jargon,
            inputs="tokens",
            keys=("sequence_length",),
            source="http://www.catb.org/~esr/jargon (ed. Raymond 2003)",
            licence="public domain",
        ),
        _downloaded(
            MNIST,
            "70,000 handwritten digits of 28x28 pixels",
            "https://yann.lecun.com/exdb/mnist (LeCun et al. 1998)",
            tuple("0123456789"),
        ),
        _downloaded(
            CIFAR10,
            "60,000 colour pictures of 32x32 pixels, in ten classes",
            "https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
            CIFAR10_CLASSES,
        ),
        _downloaded(
            CIFAR100,
            "60,000 colour pictures of 32x32 pixels, in a hundred classes",
            "https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009)",
        ),
        _downloaded(
            SVHN,
            "99,289 house numbers of 32x32 pixels, by their middle digit",
            "http://ufldl.stanford.edu/housenumbers (Netzer et al. 2011)",
            tuple("0123456789"),
        ),
        _downloaded(
            EMNIST,
            "131,600 handwritten digits and letters of 28x28 pixels, in 47 balanced classes",
            "https://www.nist.gov/itl/products-and-services/emnist-dataset (Cohen et al. 2017)",
            EMNIST_CLASSES,
        ),
    ),
)

FORMS: Registry[DataSource] = Registry(
    "form of data",
    (
        DataSource(
            name="npz",
            description="arrays x, y or x_train, y_train in an .npz file, with x_val, y_val and"
            " x_test, y_test if there are such sets: features"
            " [N, F], rows in order [N, T, F], grey images as bytes [N, H, W], images [N, C, H, W],"
            " or tokens and next tokens [N, L]; y of several labels per sample is [N, K] of 0 and"
            " 1, y of several targets [N, T], masks of images [N, H, W]",
            tasks=("classification", "multilabel", "segmentation", "regression", "language"),
            load=_load_npz,
            suffixes=(".npz",),
        ),
        DataSource(
            name="folder",
            description="images in train/<class>/, val/<class>/ and test/<class>/, or <class>/"
            " alone, or images/ and masks/ of equal file names, below train/, val/ and test/ if"
            " there are such; image_size = 32 scales all images to one size",
            tasks=("classification", "segmentation"),
            load=_load_folder,
            inputs="image",
            keys=("image_size",),
        ),
        DataSource(
            name="csv",
            description="a table with a header, may be gzipped; target names the column to "
            "predict, by default the last, or lists several labels (0 and 1) or several targets;"
            " text columns with few values become one-hot,"
            ' or integers with categories = "codes"; text = "column" names a column of texts, read'
            ' as words, as characters (tokenizer = "characters") or by a model hf:NAME;'
            ' validation = "csv:PATH" names a table to validate on',
            tasks=("classification", "multilabel", "regression"),
            load=_load_table,
            inputs="features",
            keys=("target", "validation", "categories", "text", "tokenizer"),
            suffixes=(".csv", ".tsv"),
        ),
        DataSource(
            name="text",
            description="UTF-8 text for a character model, may be gzipped; sequence_length = 64;"
            ' validation = "text:PATH" names a text to validate on',
            tasks=("language",),
            load=_load_own_text,
            inputs="tokens",
            keys=("sequence_length", "validation"),
            suffixes=(".txt",),
        ),
    ),
)

FUNCTION = DataSource(
    name="package.module:function",
    description="a function of yours that returns arrays by the names of npz:PATH, or a torch"
    " Dataset, a pair of them or a mapping with the keys train, val and test",
    tasks=("classification", "multilabel", "segmentation", "regression", "language"),
)


def find_source(dataset: str) -> DataSource:
    """Find the entry for the name of a data set, without reading or importing anything.

    Raises:
        UsageError: The name is unknown; the message lists what is allowed.
    """
    prefix, _, path = dataset.partition(":")
    if dataset in DATASETS:
        return DATASETS[dataset]
    if path and prefix in FORMS:
        return FORMS[prefix]
    path = dataset.rpartition(":")[2]
    for form in FORMS:  # houses.csv or cvs:houses.csv
        if path.lower().removesuffix(".gz").endswith(form.suffixes or ("/",)):
            raise UsageError(
                f"unknown dataset {dataset!r}; did you mean {f'{form.name}:{path}'!r}?"
            )
    if is_reference(dataset) and prefix != "torchvision":
        return FUNCTION
    forms = ", ".join(f"{form.name}:PATH" for form in FORMS)
    raise UsageError(
        f"{describe_unknown('dataset', dataset, DATASETS.names)}, or {forms}, "
        "or a function as package.module:function"
    )


def choose_task(name: str, asked: Task | None) -> Task:
    """Return the task that the study file asks for, or the default task of the data set.

    Raises:
        UsageError: The data set is for another task than the one asked for, or unknown.
    """
    allowed = find_source(name).tasks
    if asked not in (None, *allowed):
        raise UsageError(
            f"{asked!r} does not go with {name!r}, which is for {' or '.join(allowed)}"
        )
    return asked or allowed[0]


def known_inputs(name: str, task: Task) -> InputKind | None:
    """Return the kind of samples of a data set; None if only reading them tells.

    Raises:
        UsageError: The data set is unknown.
    """
    by_task: dict[Task, InputKind] = {"language": "tokens", "segmentation": "image"}
    return find_source(name).inputs or by_task.get(task)
