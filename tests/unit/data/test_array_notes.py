"""What looks wrong with arrays is said, and what would make numbers wrong is refused."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bakeoff.data.arrays import check_arrays
from bakeoff.data.readers import read_npz
from bakeoff.errors import DataError

N = 60
LABELS = np.arange(N) % 3
DRAW = np.random.default_rng(0).normal


def inputs(*shape: int) -> NDArray[Any]:
    return DRAW(size=(N, *shape))


X = inputs(4)


def test_usual_arrays_need_no_note() -> None:
    assert check_arrays({"x": X, "y": LABELS}, "d").notes == ()
    own_test = {"X_train": X, "y_train": LABELS, "X_test": DRAW(size=(9, 4)), "y_test": LABELS[:9]}
    assert check_arrays(own_test, "d").notes == ()


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"x": 0 * X}, "all samples are the same, so there is nothing to learn from"),
        ({"x_test": DRAW(size=(4, 4)), "y_test": np.array([0, 1, 1, 0])},
         "y_test has no sample of 1 classes: 2"),
        ({"ids": np.arange(N)}, "arrays of other names are left out: ids"),
        ({"x": np.c_[X, np.ones(N)]}, "1 of 5 features have one value only and tell nothing"),
        ({"x": np.repeat(X[:30], 2, axis=0)}, "30 of 60 samples repeat another one, so training"),
        ({"x_test": X[:20], "y_test": LABELS[:20]}, "20 of 20 samples of x_test are training sam"),
        ({"x_val": X[:6], "y_val": LABELS[:6]}, "6 of 6 samples of x_val are training samples t"),
        ({"x_test": 255 * X, "y_test": LABELS}, "with a deviation of 257, those of the training"),
        ({"x": inputs(8, 9, 3)}, "samples of shape [8, 9, 3] are taken as 8 channels of 9 x 3"),
    ],
)  # fmt: skip
def test_what_may_be_a_mistake_is_said(changes: dict[str, NDArray[Any]], note: str) -> None:
    notes = check_arrays({"x": X, "y": LABELS, **changes}, "d").notes
    assert [one for one in notes if note in one], notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": inputs(5, 4) + 1e9}, "x_train: float32 keeps too few digits of column 0"),
        ({"x": inputs(3, 8, 8) + 1e9}, "x_train: float32 keeps too few digits of channel 0"),
        ({"x_val": X + 1e9, "y_val": LABELS}, "x_val: float32 keeps too few digits of column 0"),
        ({"x": inputs(28, 28, 1)}, r"looks like \[H, W, C\]; channels come first"),
        ({"y": np.eye(3)[LABELS]}, r"must be \[N\]; y.argmax\(1\) are the numbers of one-hot"),
        ({"y": LABELS + 1}, r"no sample of class 0; .*numpy.unique\(y, return_inverse=True\)\[1\]"),
        ({"y": np.array(list("abc") * 20)}, r"dtype <U1; .*numpy.unique"),
        ({"X": X}, "several arrays could be x_train"),
    ],
)
def test_what_would_make_numbers_wrong_is_refused(
    changes: dict[str, NDArray[Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_arrays({"x": X, "y": LABELS, **changes}, "d")


def test_targets_of_one_value_are_said() -> None:
    notes = check_arrays({"x": X, "y": np.ones(N)}, "d", "regression").notes
    assert notes == ("all targets have one value, so there is nothing to predict",)


def test_a_column_of_labels_is_read_as_labels() -> None:
    column = check_arrays({"x": X, "y": LABELS[:, None]}, "d")
    plain = check_arrays({"x": X, "y": LABELS}, "d")
    assert np.array_equal(column.train_labels, plain.train_labels)


def test_arrays_of_objects_are_refused_with_the_way_out(tmp_path: Any) -> None:
    np.savez(tmp_path / "d.npz", x=X.astype(object), y=LABELS)
    with pytest.raises(DataError, match=r"Python objects, which is never unpickled; .*astype"):
        read_npz(tmp_path / "d.npz")
