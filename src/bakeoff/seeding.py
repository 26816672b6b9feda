"""Seeds derived by name, so that no two uses of randomness share a stream by accident."""

import hashlib
import math

MAX_SEED = 2**31 - 1


def derive_seed(*path: int | str) -> int:
    """A seed in `[0, 2**31)` that depends on every element of `path` and on nothing else.

    The same path gives the same seed on every machine and in every release: `derive_seed(0,
    "training", 3)` is the seed of the fourth training run of a study with seed 0.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in path)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") & MAX_SEED


def min_confirmation_seeds(num_arms: int) -> int:
    """The smallest number of paired seeds that can support a verdict for this many arms.

    The exact sign-flip test on K pairs cannot give a two-sided p below 2 / 2**K, and Holm's
    correction over all m = M(M-1)/2 pairs asks the smallest p to stay below 0.05 / m. So
    K = ceil(1 + log2(m / 0.05)): 6, 7, 8, 9, 10 for 2 to 6 arms. With fewer than two arms there
    is no pair to decide; the number for two is returned.
    """
    num_pairs = max(1, num_arms * (num_arms - 1) // 2)
    return math.ceil(1 + math.log2(num_pairs / 0.05))
