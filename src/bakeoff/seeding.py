"""Derives seeds by name, so that two uses of randomness never share a stream by accident."""

import hashlib

MAX_SEED = 2**31 - 1


def repeat_seed(study_seed: int, repeat: int) -> int:
    """The seed from which every seed of a study's repeat (from 0) derives."""
    return derive_seed(study_seed, "repeat", repeat) if repeat else study_seed


def derive_seed(*path: int | str) -> int:
    """A seed in `[0, 2**31)` that depends only on the elements of `path`.

    The same path gives the same seed on every machine and in every release: `derive_seed(0,
    "training", 3)` is the seed of the fourth training run of a study with seed 0.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in path)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") & MAX_SEED
