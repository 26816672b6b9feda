"""The standard normal distribution, from scipy, which is imported when the first value is needed.

Importing it takes about as long as training the first epochs of a small model, and the first trials
of a study need none of it.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cdf(values: Array) -> Array:
    """The probability of values up to each of `values`, of any shape."""
    from scipy.special import ndtr

    return np.asarray(ndtr(values), dtype=np.float64)


def quantile(probabilities: Array) -> Array:
    """The values below which `probabilities`, of any shape, lie."""
    from scipy.special import ndtri

    return np.asarray(ndtri(probabilities), dtype=np.float64)
