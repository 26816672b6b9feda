"""Which known name a user meant: by spelling, by names in torch and Optuna, by a shared part."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

ELSEWHERE = {
    "acc": "accuracy",
    "auc": "auroc",
    "bfloat16": "bf16",
    "bs": "batch_size",
    "cosineannealing": "cosine",
    "cosineannealingwarmrestarts": "cosine_restarts",
    "ece": "calibration_error",
    "eps": "epsilon",
    "f1": "macro_f1",
    "float16": "fp16",
    "float32": "fp32",
    "gpu": "cuda",
    "gradclip": "clip_grad_norm",
    "half": "fp16",
    "lr": "learning_rate",
    "max": "high",
    "maxepochs": "epochs",
    "min": "low",
    "none": "constant",
    "ntrials": "trials_per_arm",
    "numepochs": "epochs",
    "patience": "early_stopping_patience",
    "reducelronplateau": "plateau",
    "rocauc": "auroc",
    "smoothl1": "huber",
    "successivehalving": "halving",
    "top5": "top5_accuracy",
    "trials": "trials_per_arm",
    "wd": "weight_decay",
    "wsd": "warmup_stable_decay",
}
"""Names of other programs and usual short forms, as `_plain` writes them, with ours."""
BEFORE = ("validation", "valid", "val", "test", "train", "eval", "random", "num", "max")
AFTER = ("lr", "scheduler", "schedule", "sampler", "pruner", "optimizer", "loss", "metric", "score")
"""What other programs put before and after the name of a metric, a schedule or a sampler."""
LEAST_SHARED = 4
"""Characters of a known name that begins or ends another name, so that it counts as near."""
LEAST_ALIKE = 0.65
"""The share of equal characters from which a spelling counts as near (see `difflib`)."""
FILE = re.compile(r"(?P<file>[\w./-]+)\.py:(?P<name>[\w.]+)")


def find_nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` seems to mean; None if none is near.

    `path/file.py:name` is answered with `path.file:name`, whatever is known.
    """
    file = FILE.fullmatch(name)
    if file:
        return f"{file['file'].strip('./').replace('/', '.')}:{file['name']}"
    plain = {_plain(one): one for one in known}
    forms = list(dict.fromkeys(_forms(_plain(name))))
    for form in forms:
        ours = _plain(ELSEWHERE.get(form, form))
        if ours in plain:
            return plain[ours]
    for form in forms:
        parts = [one for one in plain if len(one) >= LEAST_SHARED and _begins_or_ends(form, one)]
        if parts:
            return plain[max(parts, key=len)]
    near = get_close_matches(_plain(name), plain, n=1, cutoff=LEAST_ALIKE)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    """Lower case, letters and digits alone: `OneCycleLR` and `one_cycle_lr` are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _forms(name: str) -> list[str]:
    """The name, and what is left of it without usual beginnings and endings."""
    forms = [name]
    for start in BEFORE:
        forms += [one.removeprefix(start) for one in forms if one.startswith(start)]
    for end in AFTER:
        forms += [one.removesuffix(end) for one in forms if one.endswith(end)]
    return [one for one in forms if one]


def _begins_or_ends(name: str, part: str) -> bool:
    return name.startswith(part) or name.endswith(part)
