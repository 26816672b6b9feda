"""The models that can be trained, and how a study names its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakeoff.components.inputs import InputKind
from bakeoff.components.parameters import ParameterSpec
from bakeoff.errors import UsageError, describe_unknown
from bakeoff.ranges import FloatRange, IntRange
from bakeoff.registry import Registry, is_reference


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model: the function that builds it, and what may be varied."""

    name: str
    description: str
    build: str
    """Reference to a function `(input_shape=, num_outputs=, **parameters) -> nn.Module`."""
    inputs: tuple[InputKind, ...]
    """What it takes. It gives [N, num_outputs], or [N, L, num_outputs] for tokens [N, L]."""
    parameters: Mapping[str, ParameterSpec] | None
    """None: the function is the user's, and what it takes is known to it alone."""
    channels_last: bool = False
    """Whether weights and batches are stored channels last, where that was measured to pay."""


def find_model(name: str) -> ModelSpec:
    """The registered model, or the user's own if `name` has the form `package.module:function`.

    Nothing is imported; a wrong reference shows when a trial builds the model.

    Raises:
        UsageError: `name` is neither.
    """
    if name in MODELS:
        return MODELS[name]
    if is_reference(name):
        return ModelSpec(
            name=name,
            description="a function of yours",
            build=name,
            inputs=("features", "rows", "image", "tokens"),
            parameters=None,
        )
    raise UsageError(
        f"{describe_unknown('model', name, MODELS.names)}, or a function as package.module:function"
    )


_DROPOUT = ParameterSpec(
    range=FloatRange(low=0.0, high=0.5, natural_low=True),
    default=0.0,
    source="Srivastava et al. 2014: up to one half for hidden units",
    searched=False,
)

MODELS: Registry[ModelSpec] = Registry(
    "model",
    (
        ModelSpec(
            name="mlp",
            description="Fully connected layers with ReLU",
            build="bakeoff.components.networks:build_mlp",
            inputs=("features", "rows", "image"),
            parameters={
                "width": ParameterSpec(
                    range=IntRange(low=16, high=512, log=True),
                    default=128,
                    source="small enough for one CPU core",
                    searched=False,
                ),
                "depth": ParameterSpec(
                    range=IntRange(low=1, high=4),
                    default=2,
                    source="deeper plain networks need normalisation or skips",
                    searched=False,
                ),
                "dropout": _DROPOUT,
            },
        ),
        ModelSpec(
            name="cnn",
            description="Three convolutions with batch normalisation, for small images",
            build="bakeoff.components.networks:build_cnn",
            inputs=("image",),
            parameters={
                "width": ParameterSpec(
                    range=IntRange(low=8, high=64, log=True),
                    default=16,
                    source="channels of the first layer, small enough for one CPU core",
                    searched=False,
                ),
                "dropout": _DROPOUT,
            },
            channels_last=True,
        ),
    ),
)
