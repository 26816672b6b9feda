"""The models that can be trained, and how a study file names its own model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from bakeoff.components.package_models import check_offered, find_package
from bakeoff.components.parameters import ParameterSpec
from bakeoff.data.hub_files import hub_config
from bakeoff.data.inputs import InputKind
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import FloatRange, IntRange, Params
from bakeoff.registry import Registry, is_reference


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model: the function that builds it, and what may be varied."""

    name: str
    description: str
    build: str
    """Reference to a function `(input_shape=, num_outputs=, **parameters) -> nn.Module`, which is
    also called with `categories=` if samples have codes, and with `num_tokens=`, the size of the
    vocabulary, if the words or characters of texts with labels are tokens."""
    inputs: tuple[InputKind, ...]
    """Inputs that it takes. Output: [N, num_outputs], [N, L, num_outputs] for tokens [N, L], or
    [N, num_outputs, H, W] for pixels."""
    parameters: Mapping[str, ParameterSpec] | None
    """None if the function is the user's, so that its parameters are unknown."""
    outputs: Literal["samples", "pixels"] | None = "samples"
    """What it predicts for: samples (or tokens), or pixels; None if that is not known."""
    channels_last: bool = False
    """Whether weights and batches are stored channels last, which was measured to be faster."""
    fixed: Params = field(default_factory=dict)
    """Arguments that are always given to `build`."""


def find_model(name: str) -> ModelSpec:
    """The registered model, a model of a package, or the user's own model.

    `torchvision:NAME` and `timm:NAME` are classifiers of these packages, `hf:NAME` is one of the
    Hugging Face hub, of which the configuration is read if it is here, and any other name of the
    form `package.module:function` is the user's. Nothing is imported, so a wrong reference fails
    only when a trial builds the model.

    Raises:
        UsageError: `name` is not a model.
    """
    if name in MODELS:
        return MODELS[name]
    package = find_package(name)
    if package == "hf":
        return _hub_model(name)
    if package is not None:
        check_offered(name)
        return ModelSpec(
            name=name,
            description=f"a classifier of {package}",
            build=f"bakeoff.networks.packages:build_{package}",
            inputs=("image",),
            parameters=None,
            channels_last=True,
            fixed={"architecture": name.partition(":")[2]},
        )
    if is_reference(name):
        return ModelSpec(
            name=name,
            description="a function of yours",
            build=name,
            inputs=("features", "codes", "rows", "image", "tokens", "text"),
            parameters=None,
            outputs=None,
        )
    raise UsageError(
        f"{describe_unknown('model', name, MODELS.names)}, torchvision:NAME, timm:NAME, hf:NAME,"
        " or a function as package.module:function"
    )


def _hub_model(name: str) -> ModelSpec:
    """A model of transformers; its configuration is an argument, so that an export has it."""
    check_offered(name)
    return ModelSpec(
        name=name,
        description="a classifier of transformers",
        build="bakeoff.networks.huggingface:build_huggingface",
        inputs=("image", "text"),
        parameters=None,
        fixed={"config": json.dumps(hub_config(name), sort_keys=True)},
    )


def model_parameters(name: str) -> Mapping[str, ParameterSpec] | None:
    """The declared parameters of a model; None if it is the user's, so that they are unknown.

    Without a name a loop of the user's own builds the model.

    Raises:
        UsageError: `name` is not a model.
    """
    return find_model(name).parameters if name else None


_fixed = partial(ParameterSpec, searched=False)
"""A parameter that has its default value unless the study file varies it."""

_DROPOUT = _fixed(
    range=FloatRange(low=0.0, high=0.5, natural_low=True),
    default=0.0,
    source="Srivastava et al. 2014: up to one half for hidden units",
)

_SEQUENCES: tuple[InputKind, ...] = ("rows", "image", "tokens", "text")
_RECURRENT = {
    "width": _fixed(
        range=IntRange(low=16, high=512, log=True),
        default=64,
        source="small enough for one CPU core",
    ),
    "depth": _fixed(
        range=IntRange(low=1, high=3),
        default=1,
        source="deeper recurrent networks train slowly on one CPU core",
    ),
    "dropout": _DROPOUT,
}

_MLP = {
    "width": _fixed(
        range=IntRange(low=16, high=512, log=True),
        default=128,
        source="small enough for one CPU core",
    ),
    "depth": _fixed(
        range=IntRange(low=1, high=4),
        default=2,
        source="deeper plain networks need normalisation or skips",
    ),
    "dropout": _DROPOUT,
}

MODELS: Registry[ModelSpec] = Registry(
    "model",
    (
        ModelSpec(
            name="mlp",
            description="Fully connected layers with ReLU",
            build="bakeoff.networks.plain:build_mlp",
            inputs=("features", "rows", "image"),
            parameters=_MLP,
        ),
        ModelSpec(
            name="cnn",
            description="Three convolutions with batch normalisation, for small images",
            build="bakeoff.networks.plain:build_cnn",
            inputs=("image",),
            parameters={
                "width": _fixed(
                    range=IntRange(low=8, high=64, log=True),
                    default=16,
                    source="channels of the first layer, small enough for one CPU core",
                ),
                "dropout": _DROPOUT,
            },
            channels_last=True,
        ),
        ModelSpec(
            name="resnet8",
            description="Residual network of eight layers in three stages, for small images",
            build="bakeoff.networks.plain:build_resnet8",
            inputs=("image",),
            parameters={
                "width": _fixed(
                    range=IntRange(low=8, high=64, log=True),
                    default=16,
                    source="He et al. 2015, arXiv:1512.03385, section 4.2: 16 channels at first",
                ),
                "dropout": _DROPOUT,
            },
            channels_last=True,
        ),
        ModelSpec(
            name="unet",
            description="Small U-Net: the class of every pixel, for images of any size",
            build="bakeoff.networks.unet:build_unet",
            inputs=("image",),
            parameters={
                "width": _fixed(
                    range=IntRange(low=4, high=64, log=True),
                    default=8,
                    source="Ronneberger et al. 2015: 64 channels at first; fewer for one CPU core",
                ),
                "depth": _fixed(
                    range=IntRange(low=1, high=4),
                    default=2,
                    source="Ronneberger et al. 2015: sides halved 4 times; fewer for small images",
                ),
                "dropout": _DROPOUT,
            },
            outputs="pixels",
        ),
        ModelSpec(
            name="lstm",
            description="LSTM over rows of numbers or of an image, or over text",
            build="bakeoff.networks.sequence:build_lstm",
            inputs=_SEQUENCES,
            parameters=_RECURRENT,
        ),
        ModelSpec(
            name="gru",
            description="GRU over rows of numbers or of an image, or over text",
            build="bakeoff.networks.sequence:build_gru",
            inputs=_SEQUENCES,
            parameters=_RECURRENT,
        ),
        ModelSpec(
            name="transformer",
            description="Pre-norm transformer over rows or an image's rows; causal over text",
            build="bakeoff.networks.sequence:build_transformer",
            inputs=_SEQUENCES,
            parameters={
                "width": _fixed(
                    range=IntRange(low=32, high=512, step=32),
                    default=64,
                    source="small enough for one CPU core; a multiple of the heads",
                ),
                "depth": _fixed(
                    range=IntRange(low=1, high=6),
                    default=2,
                    source="up to half of GPT-2's 12 blocks",
                ),
                "heads": _fixed(
                    range=IntRange(low=1, high=8),
                    default=4,
                    source="Vaswani et al. 2017, arXiv:1706.03762: 8 heads",
                ),
                "dropout": _DROPOUT,
            },
        ),
        ModelSpec(
            name="tabular_mlp",
            description="Embeddings of the codes of a table, then layers as in mlp",
            build="bakeoff.networks.tabular:build_tabular_mlp",
            inputs=("features", "codes"),
            parameters=_MLP,
        ),
    ),
)
