"""The stacked layer of every kind of module and function that can be stacked."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from bakeoff.networks.plain import GlobalAverage
from bakeoff.training.stack.image_layers import BatchNorm, Convolution, GlobalMean, MaxPool, Pool
from bakeoff.training.stack.layers import Dropout, Layer, LayerNorm, Linear, Pointwise

POINTWISE = (
    nn.Identity, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid,
    nn.Hardswish, nn.Hardtanh, nn.Softplus,
)  # fmt: skip
POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)

LAYERS: Mapping[type[nn.Module], type[Layer]] = {
    **dict.fromkeys(POINTWISE, Pointwise),
    **dict.fromkeys(POOLS, Pool),
    nn.MaxPool2d: MaxPool,
    GlobalAverage: GlobalMean,
    nn.Linear: Linear,
    nn.Conv2d: Convolution,
    nn.BatchNorm1d: BatchNorm,
    nn.BatchNorm2d: BatchNorm,
    nn.LayerNorm: LayerNorm,
    nn.Dropout: Dropout,
}
"""Modules with settings or weights; `nn.ReLU` and `nn.Flatten` have none that matter here."""

RELU_FUNCTIONS = (functional.relu, torch.relu)
POINTWISE_FUNCTIONS = (
    functional.gelu, functional.silu, functional.leaky_relu, functional.elu,
    functional.hardswish, functional.mish, torch.tanh, torch.sigmoid,
)  # fmt: skip
POOL_FUNCTIONS = (functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d)
POINTWISE_METHODS = ("tanh", "sigmoid")
