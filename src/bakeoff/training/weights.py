"""The weights of a finished run as one safetensors file, with everything needed to use them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from safetensors.torch import save

from bakeoff.components.metrics import scored_epoch
from bakeoff.components.models import find_model
from bakeoff.components.parameters import complete_params
from bakeoff.data.hub_files import TOKENIZER, need_hub_file, pad_token
from bakeoff.data.inputs import Feature
from bakeoff.data.own_tokens import PATTERNS
from bakeoff.records import DataConfig, as_plain
from bakeoff.training.normalisation import Normalisation
from bakeoff.training.own_state import encode
from bakeoff.training.state import TrainingState, Weights
from bakeoff.training.weights_source import DESCRIPTION_KEY
from bakeoff.version import __version__

WEIGHTS_FORMAT = 1
LENGTH_BYTES = 8


def weights_file(state: TrainingState) -> bytes:
    """The weights of the scored epoch and their description, as a safetensors file."""
    # safetensors accepts neither shared memory nor strides.
    held, own = encode(scored_weights(state))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in held.items()}
    about = describe_weights(state) | ({"own_state": own} if own else {})
    metadata = {"format": "pt", DESCRIPTION_KEY: json.dumps(about)}
    return with_sorted_header(save(tensors, metadata))


def with_sorted_header(content: bytes) -> bytes:
    """The same file with its header in a fixed order, so that equal runs give equal bytes.

    Source: https://huggingface.co/docs/safetensors, "Format": the header's length as 8 bytes, the
    header as JSON, optional spaces, and the tensors.
    """
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.dumps(json.loads(content[LENGTH_BYTES:start]), sort_keys=True).encode()
    header += b" " * (-len(header) % LENGTH_BYTES)
    return len(header).to_bytes(LENGTH_BYTES, "little") + header + content[start:]


def scored_weights(state: TrainingState) -> Weights:
    """The weights that the run's score belongs to."""
    if state.config.score_rule == "best_epoch" and state.best_weights is not None:
        return state.best_weights
    return state.evaluated_weights()


def describe_weights(state: TrainingState) -> dict[str, Any]:
    """Configuration, score, how the model is built and how its inputs are prepared, as JSON."""
    config, splits, spec = state.config, state.splits, find_model(state.config.model)
    params = config.model_params
    if spec.parameters is not None:
        params = complete_params(f"model {spec.name!r}", spec.parameters, params)
    scored = scored_epoch(state.history, state.objective, config.score_rule)
    scale = splits.target_scale
    return {
        "format": WEIGHTS_FORMAT,
        "bakeoff": __version__,
        "task": splits.task,
        "build": spec.build,
        "arguments": {
            "input_shape": list(splits.input_shape),
            "num_outputs": splits.num_outputs,
            **({} if splits.categories is None else {"categories": splits.categories}),
            **({"num_tokens": len(splits.vocabulary)} if splits.vocabulary else {}),
            **spec.fixed,
            **params,
        },
        # The vocabulary of a language model; empty in regression of one target.
        "class_names": list(splits.class_names),
        "inputs": {
            "shape": list(splits.input_shape),
            "dtype": str(splits.train.inputs.dtype).removeprefix("torch."),
            **_describe_inputs(splits.features, splits.train.normalisation),
            **_describe_tokenizer(config.data, splits.vocabulary),
        },
        "targets": None if scale is None else {"mean": scale.mean, "scale": scale.deviation},
        "epoch": None if scored is None else scored.epoch,
        "validation_metrics": {
            # JSON has no NaN.
            name: value if isfinite(value) else None
            for name, value in ({} if scored is None else scored.metrics).items()
        },
        "configuration": as_plain(config),
    }


def _describe_tokenizer(data: DataConfig, vocabulary: Sequence[str]) -> dict[str, Any]:
    """What a text is split into, and its tokens by number; or the tokenizer as JSON.

    It is empty for other data.
    """
    if data.text is None:
        return {}
    if vocabulary:
        return {"vocabulary": vocabulary, "pattern": PATTERNS[str(data.tokenizer)]}
    name = str(data.tokenizer)
    tokenizer = need_hub_file(name, TOKENIZER).read_text(encoding="utf-8")
    return {"tokenizer": tokenizer, "pad_token": pad_token(name)}


def _describe_inputs(features: Sequence[Feature], normalisation: object) -> dict[str, Any]:
    """The mean that is subtracted from stored inputs and the scale that multiplies the rest.

    For a table it adds the features made from its columns, and an example row.
    """
    if not isinstance(normalisation, Normalisation):
        return {"mean": None, "scale": None}
    mean, scale = normalisation.mean.cpu().tolist(), normalisation.scale.cpu().tolist()
    found = {"mean": mean, "scale": scale}
    if not features:
        return found
    example: dict[str, str] = {}
    for feature, middle in zip(features, mean, strict=True):
        example.setdefault(
            feature.column, feature.value or next(iter(feature.levels), f"{middle:.6g}")
        )
    return {
        **found,
        "features": [_describe_feature(feature) for feature in features],
        "example": example,
    }


def _describe_feature(feature: Feature) -> dict[str, Any]:
    """The fields of a feature; one without codes has no levels."""
    return {name: value for name, value in asdict(feature).items() if name != "levels" or value}
