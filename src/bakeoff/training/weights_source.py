"""Pretrained weights: which file they are in, how to get it, and what their makers state.

Files of packages are looked for where the packages themselves keep them, and in the folder
`weights` of the data folder. Only `fetch_weights` uses the network.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.components.package_models import check_model_installed, find_package, is_weights_file
from bakeoff.data.array_cache import data_folder
from bakeoff.data.hub_files import (
    CONFIG,
    PREPROCESSOR,
    WEIGHTS,
    hub_config,
    hub_licence,
    need_hub_file,
)
from bakeoff.errors import DataError, UsageError, describe_unknown, one_line
from bakeoff.records import CONFIG_HASH, WEIGHTS_HASH

NOT_STATED = "not stated"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of the channels of ImageNet, of values from 0 to 1.
Source: https://docs.pytorch.org/vision/stable/models.html"""
OF_INCEPTION = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""What torchvision's googlenet and inception_v3 turn ImageNet's normalisation into
(`transform_input`)."""
BYTE = 255.0
DESCRIPTION_KEY = "bakeoff"
"""Key of the description, which is JSON, in the metadata of files of weights that we write."""

State = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InputScale:
    """How the inputs of pretrained weights were normalised."""

    mean: tuple[float, ...]
    """Of each channel or feature."""
    deviation: tuple[float, ...]
    is_share: bool = True
    """Whether both are of values from 0 to 1, which bytes become by a division by 255."""


@dataclass(frozen=True, kw_only=True)
class WeightsSource:
    """A file of pretrained weights."""

    title: str
    path: Path
    """Where the file is, or where it is expected."""
    url: str | None = None
    """Where it can be downloaded; None for the user's own file."""
    licence: str = NOT_STATED
    scale: InputScale | None = None
    """None if nobody states it."""
    convert: Callable[[State, Collection[str]], State] | None = None
    """Brings a file of another layout to the names of the model, which are given."""
    may_lack: bool = False
    """Whether the file may lack layers that belong to the task, which are then fresh."""
    sha256_prefix: str | None = None
    """The beginning of the hash that a download must have."""

    @property
    def sha256(self) -> str:
        """Of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_weights(model: str, pretrained: bool | str) -> WeightsSource:
    """The weights that `[finetune] pretrained` names, which are on this machine.

    Args:
        model: The model's name in the study file.
        pretrained: True for the package's default weights, the name of others, or a file.

    Raises:
        DataError: The file is not there; the message says how to get it and where to put it.
        UsageError: The package has no such weights.
        MissingDependencyError: The package is not installed.
    """
    source = _locate(model, pretrained)
    if not source.path.is_file():
        raise DataError(_how_to_get(source, "they are not on this machine"))
    return source


def describe_source(model: str, pretrained: bool | str) -> dict[str, str]:
    """Name, hash and licence of the weights, as text by heading; empty without any.

    A model of the hub also has the hash of its configuration.

    Raises:
        DataError: As `find_weights`.
        UsageError: As there.
        MissingDependencyError: As there.
    """
    found: dict[str, str] = {}
    if find_package(model) == "hf":
        content = need_hub_file(model, CONFIG).read_bytes()
        found[CONFIG_HASH] = hashlib.sha256(content).hexdigest()
    if not pretrained:
        return found
    source = find_weights(model, pretrained)
    return found | {
        "pretrained weights": source.title,
        WEIGHTS_HASH: source.sha256,
        "pretrained weights, licence": source.licence,
    }


def fetch_weights(model: str, pretrained: bool | str) -> WeightsSource:
    """As `find_weights`, but what is missing is downloaded first.

    Raises:
        DataError: It cannot be downloaded; the message says how to get it and where to put it.
        UsageError: The package has no such weights.
        MissingDependencyError: The package is not installed.
    """
    source = _locate(model, pretrained)
    if not source.path.is_file() and source.url is not None:
        from torch import hub

        try:
            source.path.parent.mkdir(parents=True, exist_ok=True)
            hub.download_url_to_file(source.url, str(source.path), source.sha256_prefix)
        except (OSError, RuntimeError) as error:  # no network, a full disk, another hash
            reason = one_line(error)[:120]
            problem = f"the download failed ({type(error).__name__}: {reason})"
            raise DataError(_how_to_get(source, problem)) from error
    return find_weights(model, pretrained)


def _how_to_get(source: WeightsSource, problem: str) -> str:
    if source.url is None:
        return f"finetune.pretrained: {source.path} is no file"
    return (
        f"finetune.pretrained: weights {source.title}: {problem}; download {source.url} and put it"
        f" at {source.path}"
    )


def _locate(model: str, pretrained: bool | str) -> WeightsSource:
    package, architecture = find_package(model), model.partition(":")[2]
    if isinstance(pretrained, str) and is_weights_file(pretrained):
        return _own_file(model, Path(pretrained).expanduser())
    check_model_installed(model)
    name = pretrained if isinstance(pretrained, str) else None
    if package == "torchvision":
        return _of_torchvision(architecture, name)
    if package == "timm":
        return _of_timm(architecture, name)
    if package == "hf" and name is None:
        return _of_hub(model)
    named = "" if name is None else f" {name!r}"
    raise UsageError(f"finetune.pretrained: the model {model!r} has no published weights{named}")


def _own_file(model: str, path: Path) -> WeightsSource:
    """A file of the user's; one that this package wrote states how its inputs were normalised."""
    scale = None
    if path.is_file() and path.suffix == ".safetensors":
        scale = _described_scale(path)
    if scale is None and find_package(model) in ("torchvision", "timm"):
        mean, deviation = _usual_scale(model.partition(":")[2])
        scale = InputScale(mean=mean, deviation=deviation)
    is_hub = find_package(model) == "hf"
    return WeightsSource(
        title=path.name,
        path=path,
        scale=scale,
        convert=_by_suffix if is_hub else None,
        may_lack=is_hub,
    )


def _usual_scale(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by which nearly all weights of a package are trained."""
    return OF_INCEPTION if architecture in ("googlenet", "inception_v3") else IMAGENET


def _described_scale(path: Path) -> InputScale | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
        inputs = json.loads(metadata[DESCRIPTION_KEY])["inputs"]
        mean, factor = (np.asarray(inputs[name], dtype=np.float64) for name in ("mean", "scale"))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError):
        return None
    unit = BYTE if inputs.get("dtype") == "uint8" else 1.0
    return InputScale(
        mean=tuple((mean / unit).ravel().tolist()),
        deviation=tuple((1 / (factor * unit)).ravel().tolist()),
        is_share=unit == BYTE,
    )


def _of_torchvision(architecture: str, name: str | None) -> WeightsSource:
    from torch import hub
    from torchvision.models import get_model, get_model_weights

    known = get_model_weights(architecture)
    names = [one.name for one in known]
    if not names:
        raise UsageError(f"finetune.pretrained: torchvision has no weights of {architecture!r}")
    if name is not None and name not in (*names, "DEFAULT"):
        raise UsageError(
            f"finetune.pretrained: {describe_unknown(f'weights of {architecture}', name, names)}"
        )
    weights = known[name or "DEFAULT"]
    path = Path(hub.get_dir()) / "checkpoints" / Path(weights.url).name
    asked = weights.transforms()
    mean, deviation = _usual_scale(architecture)
    if (mean, deviation) == IMAGENET:
        mean, deviation = tuple(asked.mean), tuple(asked.std)

    def convert(_: State, names: Collection[str]) -> State:  # noqa: ARG001 - it knows them
        state: State = get_model(architecture, weights=weights).state_dict()  # reads the same file
        return state

    return WeightsSource(
        title=f"torchvision:{architecture} {weights.name}",
        path=path,
        url=weights.url,
        licence=weights.meta.get("license", NOT_STATED),
        scale=InputScale(mean=mean, deviation=deviation),
        convert=convert,
        sha256_prefix=path.stem.rpartition("-")[2],
    )


def _of_timm(architecture: str, name: str | None) -> WeightsSource:
    import timm
    from huggingface_hub import try_to_load_from_cache

    base = architecture.partition(".")[0]
    known = [one.partition(".")[2] for one in timm.list_pretrained(f"{base}.*")]
    if name is None and not known:
        raise UsageError(f"finetune.pretrained: timm has no weights of {base!r}")
    if name is not None and name not in known:
        raise UsageError(
            f"finetune.pretrained: {describe_unknown(f'weights of {base}', name, known)}"
        )
    full = f"{base}.{name}" if name is not None else architecture
    config = timm.get_pretrained_cfg(full, allow_unregistered=False)
    if config is None:
        raise UsageError(f"finetune.pretrained: timm has no weights {full!r}")
    full = f"{base}.{config.tag}" if config.tag else base
    repository, file = config.hf_hub_id or f"timm/{full}", config.hf_hub_filename or WEIGHTS
    own = data_folder() / "weights" / f"timm-{full}{Path(file).suffix}"
    cached = None if own.is_file() else try_to_load_from_cache(repository, file)

    def convert(state: State, names: Collection[str]) -> State:  # noqa: ARG001 - it knows them
        overlay = {"state_dict": state, "custom_load": False}
        model = timm.create_model(full, pretrained=True, pretrained_cfg_overlay=overlay)
        converted: State = model.state_dict()
        return converted

    return WeightsSource(
        title=f"timm:{full}",
        path=Path(cached) if isinstance(cached, str | os.PathLike) else own,
        url=f"https://huggingface.co/{repository}/resolve/main/{file}",
        licence=config.license or NOT_STATED,
        scale=InputScale(mean=tuple(config.mean), deviation=tuple(config.std)),
        convert=convert,
    )


def _of_hub(model: str) -> WeightsSource:
    scale, asked = None, hub_config(model, PREPROCESSOR)
    if asked.get("do_normalize", True) and {"image_mean", "image_std"} <= asked.keys():
        scale = InputScale(mean=tuple(asked["image_mean"]), deviation=tuple(asked["image_std"]))
    return WeightsSource(
        title=model,
        path=need_hub_file(model, WEIGHTS),
        licence=hub_licence(model) or NOT_STATED,
        scale=scale,
        convert=_by_suffix,
        may_lack=True,
    )


def _by_suffix(state: State, names: Collection[str]) -> State:
    """The tensors by the model's names, which have up to two more parts in front.

    Files of transformers hold the model inside `bakeoff.networks.huggingface.Logits`, or what is
    inside that model. Old ones call the weights of norms gamma and beta.
    """
    old = {"gamma": "weight", "beta": "bias"}
    held = {}
    for name, tensor in state.items():
        front, dot, last = name.rpartition(".")
        held[f"{front}{dot}{old.get(last, last)}"] = tensor
    found = {}
    for name in names:
        parts = name.split(".")
        tails = (".".join(parts[skipped:]) for skipped in range(min(3, len(parts))))
        tail = next((one for one in tails if one in held), None)
        if tail is not None:
            found[name] = held[tail]
    return found
