"""Two small tables that ship with scikit-learn, as arrays x [N, F] and y [N]."""

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes


def breast_cancer() -> dict[str, Any]:
    """569 tumours with 30 measurements; the class is malignant or benign."""
    x, y = load_breast_cancer(return_X_y=True)
    return {"x": x.astype(np.float32), "y": y}


def diabetes() -> dict[str, Any]:
    """442 patients with 10 measurements; the number is the progression after a year."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}
